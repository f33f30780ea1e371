"""The raw layer matches include/berth.h, as the C compiler sees it; and the layer above covers all of it."""

import ctypes
import dataclasses
import enum
import inspect
import re
import subprocess
import sys
import tempfile
import unittest

from support import TOP, berth, needs_compiler

from berth import aio, raw

PACKAGE = TOP / "bindings/python/berth"

C_NAMES = {
    None: "void",
    ctypes.c_int32: "int32_t",
    ctypes.c_int64: "int64_t",
    ctypes.c_uint16: "uint16_t",
    ctypes.c_uint32: "uint32_t",
    ctypes.c_uint64: "uint64_t",
    ctypes.c_char_p: "char *",
    ctypes.c_void_p: "void *",
}
# On this machine size_t may be the same ctypes object as uint64_t, so their types cannot be distinguished.
C_NAMES.setdefault(ctypes.c_size_t, "size_t")


def in_c(kind):
    """Return the C spelling of a ctypes type."""
    if kind in C_NAMES:
        return C_NAMES[kind]
    if kind is raw.berth_log_callback:
        return "berth_log_callback"
    if isinstance(kind, type) and issubclass(kind, ctypes._Pointer):
        return in_c(kind._type_) + " *"
    return f"struct {kind.__name__}"


def structs():
    found = [kind for kind in vars(raw).values() if inspect.isclass(kind) and issubclass(kind, ctypes.Structure)]
    return [kind for kind in found if hasattr(kind, "_fields_")]


def constants():
    return {name: value for name, value in vars(raw).items() if name.startswith("BERTH_")}


def compile_c(lines, *options):
    """Compile a program; return None, or the compiler's message."""
    with tempfile.NamedTemporaryFile("w", prefix="berth-", suffix=".c") as file:
        file.write("\n".join(["#include <stddef.h>", "#include <stdint.h>", "#include <berth.h>", *lines]) + "\n")
        file.flush()
        command = ["cc", "-std=c11", "-fsyntax-only", "-Werror", "-I", str(TOP / "include"), *options, file.name]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    return None if done.returncode == 0 else done.stdout


def prototypes():
    for name, (result, arguments) in raw.SIGNATURES.items():
        yield f"{in_c(result)} {name}({', '.join(map(in_c, arguments)) or 'void'});"


class Header(unittest.TestCase):
    def test_the_raw_layer_was_generated_from_the_header_as_it_is(self):
        done = subprocess.run([sys.executable, str(PACKAGE.parent / "generate"), "--check"], stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 0, done.stderr.decode())

    @needs_compiler
    def test_constants_are_as_in_c(self):
        checks = [f'_Static_assert({name} == {value}, "{name}");' for name, value in constants().items()]
        self.assertGreater(len(checks), 40)
        self.assertIsNone(compile_c(checks))

    @needs_compiler
    def test_sizes_and_offsets_of_all_members_are_as_in_c(self):
        found = {}
        for line in subprocess.check_output([str(TOP / "tools/layout")], universal_newlines=True).splitlines():
            struct, member, first, second = line.split()
            found.setdefault(struct, {})[member] = (int(first), int(second))
        ours = {}
        for struct in structs():
            fields = {name: getattr(struct, name) for name, *_ in struct._fields_}
            members = {name: (field.offset, field.size) for name, field in fields.items()}
            ours[struct.__name__] = {".": (ctypes.sizeof(struct), 0), **members}
        self.assertEqual(found, ours)

    @needs_compiler
    def test_functions_have_the_types_of_c(self):
        """A second declaration of a function with other types is an error. ctypes has no const."""
        self.assertIsNone(compile_c(prototypes(), "-Dconst="))

    @needs_compiler
    def test_the_callback_has_the_types_of_c(self):
        callback = raw.berth_log_callback
        arguments = ", ".join(map(in_c, callback._argtypes_))
        check = f"void logged({arguments}); berth_log_callback logged_too = logged;"
        self.assertIsNone(compile_c([check], "-Dconst="))

    @needs_compiler
    def test_the_compiler_detects_a_difference(self):
        self.assertIn("berth_version", compile_c(["int32_t berth_version(void);"], "-Dconst="))
        self.assertIn("BERTH_E_BUSY", compile_c(['_Static_assert(BERTH_E_BUSY == -3, "BERTH_E_BUSY");']))

    def test_the_library_has_every_function_and_the_header_every_one_of_ours(self):
        header = re.sub(r"/\*.*?\*/", "", (TOP / "include/berth.h").read_text(), flags=re.S)
        self.assertEqual(set(re.findall(r"\b(berth_\w+)\(", header)), set(raw.SIGNATURES))
        self.assertEqual(berth.abi_version(), raw.BERTH_ABI_VERSION)


class Idiomatic(unittest.TestCase):
    def test_enumerations_have_the_members_of_c(self):
        prefixes = {
            berth.ErrorCode: "BERTH_E_",
            berth.Stage: "BERTH_STAGE_",
            berth.Status: "BERTH_STATUS_",
            berth.LogLevel: "BERTH_LOG_LEVEL_",
            berth.Pressure: "BERTH_PRESSURE_",
            berth.CgroupManager: "BERTH_CGROUP_MANAGER_",
            berth.CgroupMode: "BERTH_CGROUP_MODE_",
            berth.NetworkLock: "BERTH_NETWORK_LOCK_",
        }
        for kind, prefix in prefixes.items():
            expected = {name[len(prefix) :]: value for name, value in constants().items() if name.startswith(prefix)}
            self.assertEqual({member.name: int(member) for member in kind}, expected)

    def test_each_code_has_an_exception_of_its_name(self):
        for code in berth.ErrorCode:
            kind = getattr(berth, code.name.title().replace("_", ""))
            self.assertTrue(issubclass(kind, berth.Error))
            self.assertEqual(kind.code, code)

    def test_statistics_have_the_members_of_c(self):
        names = [field.name for field in dataclasses.fields(berth.Stats)]
        self.assertEqual(["size"] + names, [field[0] for field in raw.berth_stats._fields_])

    def test_everything_public_is_documented(self):
        missing = []
        for module in (berth, aio):
            for name in module.__all__:
                thing = getattr(module, name)
                if inspect.isclass(thing):
                    members = [thing] + [member for key, member in vars(thing).items() if not key.startswith("_")]
                    for member in members if not issubclass(thing, enum.Enum) else [thing]:
                        documented = (
                            inspect.isroutine(member) or isinstance(member, property) or inspect.isclass(member)
                        )
                        # Inherited members are documented in their base class, where pydoc finds them.
                        if documented and not inspect.getdoc(member) and getattr(member, "__name__", "") != "close":
                            missing.append(f"{name}: {member}")
                elif inspect.isroutine(thing) and not inspect.getdoc(thing):
                    missing.append(name)
        self.assertEqual(missing, [])

    def test_the_package_says_that_it_is_typed_and_has_the_librarys_version(self):
        self.assertTrue((PACKAGE / "py.typed").exists())
        cargo = (TOP / "Cargo.toml").read_text()
        self.assertEqual(berth.__version__, re.search(r'^version = "(.*)"$', cargo, flags=re.M).group(1))
        self.assertEqual(berth.version(), berth.__version__)


if __name__ == "__main__":
    unittest.main()
