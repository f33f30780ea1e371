//! Messages of the kernel, systemd, CRIU and berth-init, and the files of a checkpoint.

use prost::Message as _;

use super::{text, texts};
use crate::cgroup::systemd::message::{self, Argument, Message, Method};
use crate::cgroup::systemd::{Unit, properties};
use crate::criu::image_dir::descriptors_of;
use crate::criu::message::{Kind, Request, Response};
use crate::criu::rpc::Swrk;
use crate::criu::{Version, criu_log, hints, image, propagation};
use crate::network::netlink::Answers;
use crate::network::{address, link};
use crate::spawn;

/// A datagram of rtnetlink, and the links and addresses in it. The sequence number is 7.
pub fn netlink(data: &[u8]) {
    let mut answers = Answers::to(7);
    let _ = answers.take(data);
    for payload in &answers.payloads {
        let _ = (link::Link::parse(payload), address::parse(payload));
    }
    let _ = (link::Link::parse(data), address::parse(data));
}

pub fn datagrams() -> Vec<Vec<u8>> {
    let attribute = |kind: u16, value: &[u8]| {
        let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let message = |kind: u16, flags: u16, payload: &[u8]| {
        let mut bytes = (16 + payload.len() as u32).to_ne_bytes().to_vec();
        bytes.extend([kind.to_ne_bytes(), flags.to_ne_bytes()].concat());
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let kind = attribute(18, &attribute(1, b"veth\0"));
    let attributes =
        [attribute(3, b"eth0\0"), attribute(1, &[2; 6]), attribute(4, &[220, 5, 0, 0]), kind, attribute(23, &[1; 200])];
    let link = [vec![0; 16], attributes.concat()].concat();
    let address = [vec![2, 24, 128, 0, 1, 0, 0, 0], attribute(1, &[10, 0, 0, 1]), attribute(4, &[10, 0, 0, 255])];
    let done = message(3, 2, &[0; 4]);
    let error = [(-17i32).to_ne_bytes().to_vec(), vec![0; 16], attribute(1, b"exists\0")].concat();
    vec![
        [message(16, 2, &link), done.clone()].concat(),
        [message(20, 2, &address.concat()), message(20, 0x12, &address.concat()), done].concat(),
        message(2, 0x200, &error),
        message(2, 0, &[i32::MIN.to_ne_bytes(), [0; 4]].concat()),
        link,
    ]
}

/// A message of the system bus.
pub fn dbus(data: &[u8]) {
    if let Some(start) = data.first_chunk::<16>() {
        assert!(message::length(start).is_none_or(|length| length >= 16));
    }
    let Some(message) = Message::parse(data) else { return };
    let texts = message.texts();
    assert!(texts.iter().map(String::len).sum::<usize>() <= data.len());
}

pub fn bus_messages() -> Vec<Vec<u8>> {
    let method = Method { destination: "a.b", path: "/c", interface: "d.e", member: "F" };
    let properties = [("PIDs".to_owned(), message::Value::Numbers(vec![1, 2]))];
    let calls: [&[Argument]; 3] = [
        &[],
        &[Argument::Text("x.scope"), Argument::Properties(&properties), Argument::NoUnits],
        &[Argument::Text("/job/1"), Argument::Text("done"), Argument::Bool(true)],
    ];
    let calls = calls.map(|arguments| message::call(7, method, arguments)).into_iter();
    // The same as signals and as errors.
    calls.flat_map(|call| [2, 3, 4].map(|kind| [&call[..1], &[kind], &call[2..]].concat())).collect()
}

/// Names of scopes, and properties of annotations.
pub fn systemd(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let (name, value) = text.split_once('=').unwrap_or(("X", text));
    let _ = properties::setting(name, value);
    // As the configuration bounds it.
    if text.len() > 255 {
        return;
    }
    for unit in [Unit::new(Some(text), "id"), Unit::new(None, text)].into_iter().flatten() {
        let place = unit.place().expect("the place of a unit that was accepted");
        assert!(!place.split('/').any(|part| matches!(part, "" | "." | "..")), "{place}");
    }
}

pub fn unit_properties() -> Vec<Vec<u8>> {
    texts([
        "TimeoutStopUSec=uint64 5",
        "After=['a.service', \"b\"]",
        "X=-5",
        "Y=double 1.5",
        "user-1000.slice:berth:web",
        "::x",
        "-.slice::a/b",
    ])
}

/// A message of berth-init, as a failure of a plan.
pub fn init(data: &[u8]) {
    let Ok(message) = spawn::parse(data) else { return };
    let error = spawn::failure(&crate::plan::waiting(0), &message);
    assert!(!error.message.is_empty());
}

pub fn init_messages() -> Vec<Vec<u8>> {
    let message = |step: u32, errno: u32, text: &[u8]| {
        let mut bytes: Vec<u8> =
            [6, step, errno, text.len() as u32].iter().flat_map(|number| number.to_ne_bytes()).collect();
        bytes.extend(text);
        bytes.resize(berth_init::wire::MESSAGE_LEN, 0);
        bytes
    };
    vec![
        message(0, 2, b""),
        message(1, 40, b"e tmpfs: Bad value for 'size'\n"),
        message(u32::MAX, 1, b"mmap of the plan"),
    ]
}

/// CRIU's table of mounts, and any other image.
pub fn criu_mounts(data: &[u8]) {
    for entry in propagation::entries(data).unwrap_or_default() {
        assert!(data.get(entry.master_at.clone()).is_some());
        assert!(entry.point.len() + entry.name.len() <= data.len());
    }
    const MOST: usize = 1000;
    let messages = image::messages("mountpoints-1.img", data, MOST);
    assert!(messages.as_ref().is_ok_and(|messages| messages.len() <= MOST) || messages.is_err());
    let first = image::first("core-1.img", data).ok();
    for fields in messages.unwrap_or_default().iter().chain(&first) {
        for number in 1..20 {
            let _ = (fields.number(number), fields.has(number), fields.message(number).is_some());
            assert!(fields.bytes(number).len() <= data.len());
        }
    }
}

pub fn mount_images() -> Vec<Vec<u8>> {
    let mut table = propagation::MAGIC.to_vec();
    for (point, master) in [("/", 0u8), ("/data", 7)] {
        // Numbers 1 to 3, shared and master; the point; the name; a 32-bit and a 64-bit number.
        let mut entry = vec![0x08, 1, 0x10, 2, 0x18, 3, 0x50, 5, 0x58, master];
        entry.extend([0x3a, point.len() as u8]);
        entry.extend(point.as_bytes());
        entry.extend([0x92, 1, 1, b'x', 0x9d, 1, 0, 0, 0, 0, 0xa1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        table.extend((entry.len() as u32).to_le_bytes());
        table.extend(entry);
    }
    vec![table]
}

/// A response of CRIU's RPC.
pub fn criu_response(data: &[u8]) {
    let Ok(response) = Response::decode(data) else { return };
    let request = Request { kind: Kind::Dump.into(), ..Request::default() };
    if let Err(error) = Swrk::check_response(response, &request) {
        assert!(!error.message.is_empty());
    }
}

pub fn responses() -> Vec<Vec<u8>> {
    let failed = Response {
        kind: Kind::Dump.into(),
        success: false,
        errno: Some(17),
        message: Some("no".to_owned()),
        ..Response::default()
    };
    let done = Response { success: true, ..failed.clone() };
    vec![failed.encode_to_vec(), done.encode_to_vec()]
}

/// CRIU's log and version.
pub fn criu_texts(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let errors = criu_log::errors(&text);
    let _ = (hints::of(&errors), Version::parse(&text).map(|version| version.to_string()));
    assert!(text.ends_with(criu_log::tail(&text)));
}

pub fn logs() -> Vec<Vec<u8>> {
    texts([
        "(00.012345)   1234: Error (criu/files-reg.c:1831): Can't lookup mount=29 for fd=1 path=/tmp/log\n",
        "(00.1) Error (criu/x.c:1): In-flight connection\n(00.2) Error (criu/y.c:2): Dumping FAILED.\n",
        "Version: 4.1.1\nGitID: v4.1.1\n",
        "Version: 1.5.2\nGitID: v1.5.2-7-gabcdef\n",
    ])
}

/// The file descriptors.json of a checkpoint.
pub fn descriptors(data: &[u8]) {
    let Ok(list) = descriptors_of(data, "descriptors.json".as_ref()) else { return };
    let written = serde_json::to_vec(&list).expect("a list of texts");
    assert_eq!(descriptors_of(&written, "descriptors.json".as_ref()).expect("what was written"), list);
}

pub fn descriptor_lists() -> Vec<Vec<u8>> {
    texts([r#"["/dev/null","pipe:[12345]","pipe:[12346]"]"#, r#"["/dev/pts/0","",""]"#, "[]"])
}
