//! Errors of text that is no document, at the top level, and of fields that are not implemented.

use super::*;

#[test]
fn text_that_is_not_json_is_refused_with_line_and_column() {
    let cases = [
        ("", "line 1 column 0"),
        ("{", "line 1 column 1"),
        ("{\"a\": 01}", "invalid number at line 1 column 8"),
        ("{\n\"a\": 1,\n}", "line 3 column 1"),
        ("{} {}", "trailing characters"),
        ("{\"a\": 1, \"a\": 2}", "\"a\" occurs twice in one object"),
        ("{\"a\": {\"b\": [{\"c\": 1, \"c\": 1}]}}", "\"c\" occurs twice"),
        ("{\"a\": NaN}", "line 1 column 7"),
        ("{\"a\": \"\\ud800\"}", "line 1"),
    ];
    for (text, words) in cases {
        let error = Config::from_json(text, None).unwrap_err();
        assert_eq!(error.code, Code::ConfigInvalid, "{text}");
        assert!(error.message.contains("not valid JSON") && error.message.contains(words), "{text}: {error}");
        assert!(error.detail.contains_key("line") && error.detail.contains_key("column"));
    }
    let deep = "[".repeat(100_000);
    assert!(Config::from_json(&deep, None).unwrap_err().message.contains("recursion limit"));
}

#[test]
fn a_document_that_is_no_object_is_refused() {
    for text in ["[]", "null", "\"x\"", "1", "true"] {
        let error = Config::from_json(text, None).unwrap_err();
        explains(&error, Code::ConfigInvalid, "(document)", "expected an object").unwrap();
    }
}

#[test]
fn a_text_past_the_bound_is_refused() {
    let text = " ".repeat((16 << 20) + 1);
    assert!(Config::from_json(&text, None).unwrap_err().message.contains("longer than"));
}

#[test]
fn the_top_level() {
    all_refused(&[
        bad("/ociVersion", "", "ociVersion", "is required and missing"),
        bad("/ociVersion", "null", "ociVersion", "is required and missing"),
        bad("/ociVersion", "1", "ociVersion", "1 is not valid here; expected a string"),
        bad("/ociVersion", "\"\"", "ociVersion", "is not a version; expected a version from 1.0.0 to 1.3.x"),
        bad("/ociVersion", "\"1.2\"", "ociVersion", "\"1.2\" is not a version"),
        bad("/ociVersion", "\"1.02.0\"", "ociVersion", "is not a version"),
        bad("/ociVersion", "\"1.2.x\"", "ociVersion", "is not a version"),
        bad("/ociVersion", "\"v1.2.0\"", "ociVersion", "is not a version"),
        unsupported("/ociVersion", "\"0.9.0\"", "ociVersion").saying("expected a version"),
        unsupported("/ociVersion", "\"2.0.0\"", "ociVersion").saying("expected a version"),
        bad("/root", "", "root", "is required and missing"),
        bad("/root", "[\"/rootfs\", true]", "root", "expected an object"),
        bad("/root", "{}", "root.path", "is required and missing; expected a string"),
        bad("/root/path", "\"\"", "root.path", "is empty"),
        bad("/root/path", "\"rootfs\"", "root.path", "\"rootfs\" is relative and there is no bundle"),
        bad("/root/path", "\"/a\\u0000b\"", "root.path", "contains a NUL character"),
        bad("/root/readonly", "\"true\"", "root.readonly", "\"true\" is not valid here; expected true or false"),
        bad("/root/readonly", "1", "root.readonly", "expected true or false"),
        bad("/hostname", "7", "hostname", "expected a string"),
        bad("/hostname", format!("\"{}\"", "h".repeat(65)), "hostname", "expected at most 64 bytes"),
        bad("/hostname", "\"a\\nb\"", "hostname", "without control characters"),
        bad("/domainname", format!("\"{}\"", "d".repeat(65)), "domainname", "expected at most 64 bytes"),
        bad("/annotations", "[]", "annotations", "[] is not valid here; expected an object"),
        bad("/annotations", "{\"a\": 1}", "annotations.a", "expected a string"),
        bad("/annotations", "{\"com.example/x\": {}}", "annotations[\"com.example/x\"]", "expected a string"),
        bad("/annotations", "{\"\": \"x\"}", "annotations[\"\"]", "has an empty name"),
        bad("/annotations", "{\"a\\u0000b\": \"x\"}", "annotations[\"a\\0b\"]", "contains a NUL character"),
        bad("/linux", "", "linux", "is required and missing"),
        bad("/linux", "\"x\"", "linux", "expected an object"),
    ]);
}

#[test]
fn hooks() {
    all_refused(&[
        bad("/hooks", "[]", "hooks", "expected an object"),
        bad("/hooks", r#"{"prestart": {}}"#, "hooks.prestart", "expected an array of objects"),
        bad("/hooks", r#"{"prestart": [{}]}"#, "hooks.prestart[0].path", "is required and missing"),
        bad("/hooks", r#"{"prestart": [{"path": ""}]}"#, "hooks.prestart[0].path", "is not absolute"),
        bad("/hooks", r#"{"createRuntime": [{"path": "bin/x"}]}"#, "hooks.createRuntime[0].path", "not absolute"),
        bad("/hooks", r#"{"createContainer": [{"path": "x"}]}"#, "hooks.createContainer[0].path", "not absolute"),
        bad("/hooks", r#"{"startContainer": [{"path": "x"}]}"#, "hooks.startContainer[0].path", "not absolute"),
        bad("/hooks", r#"{"poststart": [{"path": "x"}]}"#, "hooks.poststart[0].path", "not absolute"),
        bad(
            "/hooks",
            r#"{"poststop": [{"path": "/x"}, {"path": "x"}]}"#,
            "hooks.poststop[1].path",
            "\"x\" is not absolute; expected a path that begins with /",
        ),
        bad("/hooks", r#"{"poststop": [{"path": "/x", "timeout": 0}]}"#, "hooks.poststop[0].timeout", "above 0"),
        bad("/hooks", r#"{"poststop": [{"path": "/x", "timeout": -1}]}"#, "hooks.poststop[0].timeout", "-1 is not"),
        bad("/hooks", r#"{"poststop": [{"path": "/x", "timeout": 1.5}]}"#, "hooks.poststop[0].timeout", "1.5 is not"),
        bad("/hooks", r#"{"poststop": [{"path": "/x", "env": ["A"]}]}"#, "hooks.poststop[0].env[0]", "NAME=value"),
        bad("/hooks", r#"{"poststop": [{"path": "/x", "env": "A=1"}]}"#, "hooks.poststop[0].env", "array of strings"),
        bad("/hooks", r#"{"poststop": [{"path": "/x", "args": [1]}]}"#, "hooks.poststop[0].args[0]", "a string"),
        bad("/hooks", r#"{"poststop": [{"path": "/x", "args": ["\u0000"]}]}"#, "hooks.poststop[0].args[0]", "NUL"),
    ]);
}

#[test]
fn fields_that_are_not_implemented() {
    all_refused(&[
        unsupported("/process/commandLine", "\"cmd\"", "process.commandLine").saying("is for Windows"),
        unsupported("/process/user/username", "\"bob\"", "process.user.username").saying("is for Windows"),
        unsupported("/windows", r#"{"layerFolders": []}"#, "windows").saying("another platform"),
        unsupported("/solaris", r#"{"milestone": "x"}"#, "solaris").saying("another platform"),
        unsupported("/vm", r#"{"kernel": {}}"#, "vm").saying("another platform"),
        unsupported("/zos", r#"{"devices": []}"#, "zos").saying("another platform"),
        unsupported("/freebsd", r#"{"jail": {}}"#, "freebsd").saying("another platform"),
    ]);
}
