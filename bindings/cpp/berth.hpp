/*
 * libberth for C++17: containers, processes and subscriptions as move-only objects, errors as exceptions or results,
 * time as std::chrono durations. Header only; link with libberth (pkg-config berth). berth.h is the manual: each member
 * here wraps the function of the same name there; comments describe only the differences.
 *
 * ERRORS. By default a failed call throws the class of its code, derived from berth::Error: berth::NotFoundError,
 * berth::TimeoutError... With BERTH_NO_EXCEPTIONS defined before this header is included, every call returns a
 * berth::Result<T> instead, also under -fno-exceptions; "Outcome<T>" below is T in the first case and Result<T> in the
 * second. Files that differ in this can be linked into one program.
 *
 * OWNERSHIP. Destroying an object releases the handle and never affects the container or process. The calls of a
 * moved-from object fail with Code::invalid_argument. No argument is kept after a call.
 *
 * THREADS. Several threads may use one object at once; only one may move or destroy it.
 */
#ifndef BERTH_HPP
#define BERTH_HPP

#include <berth.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <unistd.h>

namespace berth {

/** The error codes: the BERTH_E_... constants. */
enum class Code : std::int32_t {
    id_in_use = BERTH_E_ID_IN_USE,
    id_invalid = BERTH_E_ID_INVALID,
    not_found = BERTH_E_NOT_FOUND,
    paused = BERTH_E_PAUSED,
    not_stopped = BERTH_E_NOT_STOPPED,
    not_running = BERTH_E_NOT_RUNNING,
    not_paused = BERTH_E_NOT_PAUSED,
    already_running = BERTH_E_ALREADY_RUNNING,
    config_invalid = BERTH_E_CONFIG_INVALID,
    console_exists = BERTH_E_CONSOLE_EXISTS,
    system = BERTH_E_SYSTEM,
    unsupported = BERTH_E_UNSUPPORTED,
    timeout = BERTH_E_TIMEOUT,
    busy = BERTH_E_BUSY,
    criu = BERTH_E_CRIU,
    hook = BERTH_E_HOOK,
    status_unknown = BERTH_E_STATUS_UNKNOWN,
    invalid_argument = BERTH_E_INVALID_ARGUMENT,
    internal = BERTH_E_INTERNAL,
};

/** The stage at which a call failed. */
enum class Stage : std::int32_t {
    host = BERTH_STAGE_HOST,
    init = BERTH_STAGE_INIT,
    hook = BERTH_STAGE_HOOK,
    criu = BERTH_STAGE_CRIU,
};

/** The status of a container. */
enum class Status : std::int32_t {
    creating = BERTH_STATUS_CREATING,
    created = BERTH_STATUS_CREATED,
    running = BERTH_STATUS_RUNNING,
    paused = BERTH_STATUS_PAUSED,
    stopped = BERTH_STATUS_STOPPED,
};

/** A level of memory pressure. */
enum class Pressure : std::int32_t {
    low = BERTH_PRESSURE_LOW,
    medium = BERTH_PRESSURE_MEDIUM,
    critical = BERTH_PRESSURE_CRITICAL,
};

enum class LogLevel : std::int32_t {
    error = BERTH_LOG_LEVEL_ERROR,
    warn = BERTH_LOG_LEVEL_WARN,
    info = BERTH_LOG_LEVEL_INFO,
    debug = BERTH_LOG_LEVEL_DEBUG,
    trace = BERTH_LOG_LEVEL_TRACE,
};

/** The manager of containers' cgroups. */
enum class CgroupManager : std::int32_t {
    files = BERTH_CGROUP_MANAGER_FILES,
    systemd = BERTH_CGROUP_MANAGER_SYSTEMD,
    disabled = BERTH_CGROUP_MANAGER_DISABLED,
};

/** The processes that Container::signal signals. */
enum class Recipients { init, all };

/** Whether Container::remove kills running processes. */
enum class Force { no, kill };

/** The interfaces that Container::interfaces_json reports. */
enum class Interfaces { networks, inside };

/** The status as the OCI runtime specification spells it. */
inline const char *to_string(Status status) noexcept { return berth_status_name(static_cast<std::int32_t>(status)); }
/** The name of a code: "BERTH_E_NOT_FOUND". */
inline const char *error_name(Code code) noexcept { return berth_error_name(static_cast<std::int32_t>(code)); }
/** Describes a code. */
inline const char *to_string(Code code) noexcept { return berth_strerror(static_cast<std::int32_t>(code)); }

/** The reason why a call failed. what() is the message. */
class Error : public std::runtime_error {
public:
    Error(Code code, int system_errno, Stage stage, const std::string &message, std::string detail_json)
        : std::runtime_error(message), code_(code), errno_(system_errno), stage_(stage), detail_(std::move(detail_json)) {}

    Code code() const noexcept { return code_; }
    /** The errno(3) of the failed system call; 0 if there was none. */
    int system_errno() const noexcept { return errno_; }
    Stage stage() const noexcept { return stage_; }
    /** Details as a JSON object; see berth_error_detail_json. */
    const std::string &detail_json() const noexcept { return detail_; }

    /** Takes the result and the error object of a function of berth.h. */
    static Error take(std::int32_t result, berth_error *error) {
        const std::unique_ptr<berth_error, void (*)(berth_error *)> owned(error, berth_error_free);
        if (!error) return Error(static_cast<Code>(result), 0, Stage::host, berth_strerror(result), "{}");
        return Error(static_cast<Code>(berth_error_code(error)), berth_error_errno(error),
                     static_cast<Stage>(berth_error_stage(error)), berth_error_message(error), berth_error_detail_json(error));
    }

private:
    Code code_;
    int errno_;
    Stage stage_;
    std::string detail_;
};

/** The error class of one code. */
template <Code which>
class ErrorOf : public Error {
public:
    explicit ErrorOf(const Error &error) : Error(error) {}
};

using IdInUseError = ErrorOf<Code::id_in_use>;
using IdInvalidError = ErrorOf<Code::id_invalid>;
using NotFoundError = ErrorOf<Code::not_found>;
using PausedError = ErrorOf<Code::paused>;
using NotStoppedError = ErrorOf<Code::not_stopped>;
using NotRunningError = ErrorOf<Code::not_running>;
using NotPausedError = ErrorOf<Code::not_paused>;
using AlreadyRunningError = ErrorOf<Code::already_running>;
using ConfigInvalidError = ErrorOf<Code::config_invalid>;
using ConsoleExistsError = ErrorOf<Code::console_exists>;
using SystemError = ErrorOf<Code::system>;
using UnsupportedError = ErrorOf<Code::unsupported>;
using TimeoutError = ErrorOf<Code::timeout>;
using BusyError = ErrorOf<Code::busy>;
using CriuError = ErrorOf<Code::criu>;
using HookError = ErrorOf<Code::hook>;
using StatusUnknownError = ErrorOf<Code::status_unknown>;
using InvalidArgumentError = ErrorOf<Code::invalid_argument>;
using InternalError = ErrorOf<Code::internal>;

/** A value or an error. */
template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

    bool has_value() const noexcept { return content_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }
    /** Requires has_value(); else aborts the program. */
    T &value() & { return *have(std::get_if<0>(&content_)); }
    const T &value() const & { return *have(std::get_if<0>(&content_)); }
    T value() && { return std::move(*have(std::get_if<0>(&content_))); }
    T *operator->() { return have(std::get_if<0>(&content_)); }
    T &operator*() & { return value(); }
    T operator*() && { return std::move(*this).value(); }
    /** Requires !has_value(); else aborts the program. */
    const Error &error() const { return *have(std::get_if<1>(&content_)); }

private:
    template <class P>
    static P *have(P *there) {
        if (!there) std::abort();
        return there;
    }
    std::variant<T, Error> content_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    bool has_value() const noexcept { return !error_; }
    explicit operator bool() const noexcept { return has_value(); }
    const Error &error() const {
        if (!error_) std::abort();
        return *error_;
    }

private:
    std::optional<Error> error_;
};

/** A timeout: any std::chrono duration, rounded up to milliseconds; a negative one does not wait. */
class WaitTime {
public:
    template <class Rep, class Period>
    constexpr WaitTime(std::chrono::duration<Rep, Period> time) : ms_(in_milliseconds(time)) {}
    static constexpr WaitTime for_ever() noexcept { return WaitTime(); }
    /** The timeout in the form of berth.h. */
    constexpr std::int64_t milliseconds() const noexcept { return ms_; }

private:
    constexpr WaitTime() noexcept : ms_(-1) {}
    template <class Duration>
    static constexpr std::int64_t in_milliseconds(Duration time) {
        using Long = std::chrono::duration<long double, std::milli>;
        using Ms = std::chrono::duration<std::int64_t, std::milli>;
        if (!(time > Duration::zero())) return 0;
        if (Long(time).count() >= static_cast<long double>(Ms::max().count())) return Ms::max().count();
        return std::chrono::ceil<Ms>(time).count();
    }
    std::int64_t ms_;
};

inline constexpr WaitTime for_ever = WaitTime::for_ever();

/** An owned descriptor. */
class Fd {
public:
    Fd() noexcept = default;
    explicit Fd(int fd) noexcept : fd_(fd) {}
    Fd(Fd &&other) noexcept : fd_(other.release()) {}
    Fd &operator=(Fd &&other) noexcept {
        reset(other.release());
        return *this;
    }
    ~Fd() { reset(); }

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    int release() noexcept { return std::exchange(fd_, -1); }
    void reset(int fd = -1) noexcept {
        if (fd_ >= 0) ::close(fd_);
        fd_ = fd;
    }

private:
    int fd_ = -1;
};

/** A standard stream of a process. */
class Stream {
public:
    static constexpr Stream inherit() noexcept { return Stream(BERTH_STDIO_INHERIT, 0); }
    static constexpr Stream null() noexcept { return Stream(BERTH_STDIO_NULL, 0); }
    /** A new pipe; Process::take_stdio returns its other end. */
    static constexpr Stream pipe() noexcept { return Stream(BERTH_STDIO_PIPE, 0); }
    /** A descriptor of the caller, which is duplicated. */
    static constexpr Stream fd(int fd) noexcept { return Stream(BERTH_STDIO_FD, fd); }
    constexpr berth_stream raw() const noexcept { return {kind_, fd_}; }

private:
    constexpr Stream(std::int32_t kind, int fd) noexcept : kind_(kind), fd_(fd) {}
    std::int32_t kind_;
    std::int32_t fd_;
};

/** Options for starting a process; see berth_process_options. */
struct ProcessOptions {
    /** Standard input, output and error. */
    std::array<Stream, 3> stdio{Stream::inherit(), Stream::inherit(), Stream::inherit()};
    /** Descriptors of the caller, which become the process's 3, 4 and so on. */
    std::vector<std::int32_t> extra_fds{};
    /** Path of a unix socket to which the terminal's master is sent. Empty: none. */
    std::string console_socket{};
    /** Signal when the thread that starts the process ends. 0: none. */
    int parent_death_signal = 0;
    /** At create: processes keep the session keyring of the process that starts them. */
    bool inherit_keyring = false;
    /** At create: fail if the program does not exist. */
    bool find_program = false;
    /** With process.terminal: newlines in the output stay as they are (ONLCR is cleared). */
    bool plain_newlines = false;
    /** With Container::exec: if the container is paused, wait until it is resumed. */
    bool wait_while_paused = false;
    /** With Container::exec: cgroups below the container's own, each "path", or "controller[,controller]:path". */
    std::vector<std::string> cgroups{};
};

/** Options of a runtime; see berth_runtime_options. Zero durations are the library's defaults. */
struct RuntimeOptions {
    /** Empty: "/run/berth". */
    std::string state_root{};
    std::chrono::milliseconds setup_timeout{0};
    std::chrono::milliseconds lock_timeout{0};
    std::chrono::milliseconds hook_timeout{0};
    std::chrono::milliseconds cgroup_timeout{0};
    CgroupManager cgroup_manager = CgroupManager::files;
    /** With CgroupManager::systemd: annotations "org.systemd.property.NAME" become properties of the scope. */
    bool systemd_annotations = false;
    /** Use chroot(2) instead of pivot_root(2): BERTH_RUNTIME_NO_PIVOT. */
    bool no_pivot = false;
    /** Mount root filesystems id-mapped: BERTH_RUNTIME_IDMAPPED_ROOT. */
    bool idmapped_root = false;
    /** Support unprivileged callers: BERTH_RUNTIME_ROOTLESS. */
    bool rootless = false;
    /** As rootless if the caller is not root, or is root in a user namespace: BERTH_RUNTIME_ROOTLESS_AUTO. */
    bool rootless_auto = false;
    /** Return devices of linux.netDevices to the host at delete: BERTH_RUNTIME_RETURN_DEVICES. */
    bool return_devices = false;
    /** CRIU program. Empty: the one in the usual directories of the host. */
    std::string criu{};
    /** The environment, as NAME=VALUE, of hooks on the host that have none of their own: berth_runtime_options.hook_env. */
    std::vector<std::string> hook_env{};
};

/** How a restore handles cgroups that the container has created; see berth_cgroup_mode. */
enum class CgroupMode : std::int32_t {
    soft = BERTH_CGROUP_MODE_SOFT,
    ignore = BERTH_CGROUP_MODE_IGNORE,
    none = BERTH_CGROUP_MODE_NONE,
    properties = BERTH_CGROUP_MODE_PROPERTIES,
    full = BERTH_CGROUP_MODE_FULL,
    strict = BERTH_CGROUP_MODE_STRICT,
};

/** How packets of TCP connections are blocked during a checkpoint; see berth_network_lock. */
enum class NetworkLock : std::int32_t {
    nftables = BERTH_NETWORK_LOCK_NFTABLES,
    iptables = BERTH_NETWORK_LOCK_IPTABLES,
    skip = BERTH_NETWORK_LOCK_SKIP,
};

/** Options of a checkpoint; see berth_checkpoint_options. Empty and zero are the library's defaults. */
struct CheckpointOptions {
    /** Created if missing. Required. */
    std::string images{};
    std::string work{};
    std::string parent_images{};
    std::string page_server_address{};
    int page_server_port = 0;
    std::string config_file{};
    std::chrono::milliseconds timeout{0};
    CgroupMode cgroup_mode = CgroupMode::soft;
    NetworkLock network_lock = NetworkLock::nftables;
    /** With lazy_pages: a descriptor to which a NUL byte is written when pages can be requested. */
    std::optional<int> status{};
    bool leave_running = false, pre_dump = false, shell_job = false, tcp_established = false, tcp_skip_in_flight = false;
    bool external_unix_sockets = false, file_locks = false, lazy_pages = false, empty_network = false, auto_dedup = false;
    bool link_remap = false;
};

/** A veth pair that a restore creates: its name in the container, and the name of its other end on the host. */
struct VethPair {
    std::string name{}, host_name{};
};

/** A cgroup that becomes the root of the images' cgroup tree; see berth_cgroup_root. */
struct CgroupRoot {
    std::string controller{}, path{};
};

/** Options of a restore; see berth_restore_options. Empty and zero are the library's defaults. */
struct RestoreOptions {
    /** Required. */
    std::string images{};
    std::string work{};
    /** Streams that replace dumped pipes, and the recipient of the terminal's master. */
    ProcessOptions process{};
    std::vector<VethPair> veth_pairs{};
    std::vector<CgroupRoot> cgroup_roots{};
    /** "apparmor:NAME" or "selinux:LABEL". */
    std::string lsm_profile{};
    std::string lsm_mount_context{};
    std::string config_file{};
    std::chrono::milliseconds timeout{0};
    CgroupMode cgroup_mode = CgroupMode::soft;
    bool shell_job = false, tcp_established = false, tcp_close = false, external_unix_sockets = false, file_locks = false;
    bool lazy_pages = false, empty_network = false, auto_dedup = false;
};

/** How a process ended. */
struct ExitStatus {
    /** The exit status, if the process exited. */
    std::optional<int> code;
    /** The signal that killed the process, if one did. */
    std::optional<int> signal;
    bool core_dumped = false;
    bool success() const noexcept { return code == 0; }
};

/** What has happened since the previous read. */
struct Occurred {
    std::uint64_t count = 0;
    /** The container's init has ended: no more events follow. */
    bool ended = false;
};

/** Resource usage of a container; empty if the host does not provide a value, or if there is no limit. See berth_stats. */
struct Stats {
    using Count = std::optional<std::uint64_t>;
    using Time = std::optional<std::chrono::nanoseconds>;
    Time cpu_usage, cpu_user, cpu_system;
    Count cpu_periods, cpu_throttled_periods;
    Time cpu_throttled;
    /** Bytes. */
    Count memory_usage, memory_limit, memory_peak, memory_swap_usage, memory_swap_limit;
    Count oom_kills, pids_current, pids_limit, memory_limit_hits;
    /** Bytes. */
    Count memory_anon, memory_file, memory_inactive_file, memory_kernel;
    Count page_faults, page_faults_major;
    Count io_read_bytes, io_write_bytes, io_reads, io_writes;
    Time cpu_pressure_some, cpu_pressure_full, memory_pressure_some, memory_pressure_full, io_pressure_some, io_pressure_full;
};

#ifdef BERTH_NO_EXCEPTIONS
inline namespace results {
template <class T>
using Outcome = Result<T>;

namespace detail {
template <class T>
Result<T> failed(Error error) {
    return Result<T>(std::move(error));
}
} // namespace detail
#else
inline namespace exceptions {
template <class T>
using Outcome = T;

namespace detail {
/* A compiler that warns of missing cases warns here of a code that is new in berth.h. */
[[noreturn]] inline void raise(const Error &error) {
    switch (static_cast<berth_e>(error.code())) {
    case BERTH_E_ID_IN_USE: throw IdInUseError(error);
    case BERTH_E_ID_INVALID: throw IdInvalidError(error);
    case BERTH_E_NOT_FOUND: throw NotFoundError(error);
    case BERTH_E_PAUSED: throw PausedError(error);
    case BERTH_E_NOT_STOPPED: throw NotStoppedError(error);
    case BERTH_E_NOT_RUNNING: throw NotRunningError(error);
    case BERTH_E_NOT_PAUSED: throw NotPausedError(error);
    case BERTH_E_ALREADY_RUNNING: throw AlreadyRunningError(error);
    case BERTH_E_CONFIG_INVALID: throw ConfigInvalidError(error);
    case BERTH_E_CONSOLE_EXISTS: throw ConsoleExistsError(error);
    case BERTH_E_SYSTEM: throw SystemError(error);
    case BERTH_E_UNSUPPORTED: throw UnsupportedError(error);
    case BERTH_E_TIMEOUT: throw TimeoutError(error);
    case BERTH_E_BUSY: throw BusyError(error);
    case BERTH_E_CRIU: throw CriuError(error);
    case BERTH_E_HOOK: throw HookError(error);
    case BERTH_E_STATUS_UNKNOWN: throw StatusUnknownError(error);
    case BERTH_E_INVALID_ARGUMENT: throw InvalidArgumentError(error);
    case BERTH_E_INTERNAL: throw InternalError(error);
    }
    throw error;
}

template <class T>
[[noreturn]] T failed(Error error) {
    raise(error);
}
} // namespace detail
#endif

namespace detail {

/* Converts the result of a call: its error, or what `make` returns. */
template <class Make>
auto done(std::int32_t result, berth_error *error, Make make) -> Outcome<decltype(make())> {
    if (result != 0) return failed<decltype(make())>(Error::take(result, error));
    return make();
}

inline Outcome<void> done(std::int32_t result, berth_error *error) {
    if (result != 0) return failed<void>(Error::take(result, error));
    return Outcome<void>();
}

/* Calls `function(arguments..., out, error)`, and makes something of `out`. */
template <class Out, class Make, class Function, class... Arguments>
auto ask(Make make, Function function, Arguments... arguments) {
    Out out{};
    berth_error *error = nullptr;
    const std::int32_t result = function(arguments..., &out, &error);
    return done(result, error, [&] { return make(out); });
}

/* Calls `function(arguments..., error)`. */
template <class Function, class... Arguments>
Outcome<void> tell(Function function, Arguments... arguments) {
    berth_error *error = nullptr;
    const std::int32_t result = function(arguments..., &error);
    return done(result, error);
}

inline std::string text(char *given) {
    const std::unique_ptr<char, void (*)(char *)> owned(given, berth_string_free);
    return std::string(given);
}

inline Fd descriptor(std::int32_t fd) { return Fd(fd); }

/* C would ignore everything after the NUL. */
inline std::optional<Error> nul_in(const std::string &given, const char *name) {
    const auto at = given.find('\0');
    if (at == std::string::npos) return std::nullopt;
    return Error(Code::invalid_argument, 0, Stage::host, std::string(name) + " has a NUL at byte " + std::to_string(at),
                 std::string("{\"parameter\":\"") + name + "\"}");
}

inline const char *or_null(const std::string &given) { return given.empty() ? nullptr : given.c_str(); }

template <class Raw, void (*release)(Raw *)>
class Handle {
public:
    explicit Handle(Raw *raw) noexcept : raw_(raw) {}
    /** The handle of berth.h; this object keeps owning it. */
    Raw *get() const noexcept { return raw_.get(); }

private:
    struct Free {
        void operator()(Raw *raw) const noexcept { release(raw); }
    };
    std::unique_ptr<Raw, Free> raw_;
};

inline ExitStatus exit_status(const berth_exit_status &raw) {
    ExitStatus status;
    if (raw.kind == BERTH_EXIT_EXITED) status.code = raw.code;
    if (raw.kind == BERTH_EXIT_SIGNALED) status.signal = raw.signal;
    status.core_dumped = raw.core_dumped != 0;
    return status;
}

/* The options as C has them; they point into the C++ ones. */
class RawOptions {
public:
    explicit RawOptions(const ProcessOptions &options) {
        berth_process_options_init(&raw_, sizeof raw_);
        std::transform(options.stdio.begin(), options.stdio.end(), raw_.stdio, [](const Stream &stream) { return stream.raw(); });
        raw_.extra_fds = options.extra_fds.data();
        raw_.extra_fd_count = options.extra_fds.size();
        raw_.console_socket = or_null(options.console_socket);
        raw_.parent_death_signal = options.parent_death_signal;
        if (options.inherit_keyring) raw_.flags |= BERTH_PROCESS_INHERIT_KEYRING;
        if (options.find_program) raw_.flags |= BERTH_PROCESS_FIND_PROGRAM;
        if (options.plain_newlines) raw_.flags |= BERTH_PROCESS_PLAIN_NEWLINES;
        if (options.wait_while_paused) raw_.flags |= BERTH_PROCESS_WAIT_WHILE_PAUSED;
        for (const auto &path : options.cgroups) cgroups_.push_back(path.c_str());
        raw_.cgroups = cgroups_.data();
        raw_.cgroup_count = cgroups_.size();
    }
    RawOptions(const RawOptions &) = delete;
    RawOptions &operator=(const RawOptions &) = delete;
    const berth_process_options *get() const noexcept { return &raw_; }

    static std::optional<Error> wrong(const ProcessOptions &options) {
        for (const auto &path : options.cgroups) {
            if (auto wrong = nul_in(path, "cgroups")) return wrong;
        }
        return nul_in(options.console_socket, "console_socket");
    }

private:
    berth_process_options raw_;
    std::vector<const char *> cgroups_;
};

/* Names a NUL in one of the texts, or the first. */
inline std::optional<Error> nul_among(std::initializer_list<std::pair<const std::string *, const char *>> given) {
    for (const auto &[text, name] : given) {
        if (auto wrong = nul_in(*text, name)) return wrong;
    }
    return std::nullopt;
}

inline std::uint32_t flags_of(std::initializer_list<std::pair<bool, std::uint32_t>> given) {
    std::uint32_t flags = 0;
    for (const auto &[set, flag] : given) flags |= set ? flag : 0;
    return flags;
}

inline std::optional<Error> wrong(const CheckpointOptions &options) {
    return nul_among({{&options.images, "images"},
                      {&options.work, "work"},
                      {&options.parent_images, "parent_images"},
                      {&options.page_server_address, "page_server_address"},
                      {&options.config_file, "config_file"}});
}

inline berth_checkpoint_options checkpoint_options(const CheckpointOptions &options) {
    berth_checkpoint_options raw;
    berth_checkpoint_options_init(&raw, sizeof raw);
    raw.images = or_null(options.images);
    raw.work = or_null(options.work);
    raw.parent_images = or_null(options.parent_images);
    raw.page_server_address = or_null(options.page_server_address);
    raw.page_server_port = options.page_server_port;
    raw.config_file = or_null(options.config_file);
    raw.timeout_ms = options.timeout.count();
    raw.cgroup_mode = static_cast<std::int32_t>(options.cgroup_mode);
    raw.network_lock = static_cast<std::int32_t>(options.network_lock);
    if (options.status) raw.status = Stream::fd(*options.status).raw();
    raw.flags = flags_of({{options.leave_running, BERTH_CHECKPOINT_LEAVE_RUNNING},
                          {options.pre_dump, BERTH_CHECKPOINT_PRE_DUMP},
                          {options.shell_job, BERTH_CHECKPOINT_SHELL_JOB},
                          {options.tcp_established, BERTH_CHECKPOINT_TCP_ESTABLISHED},
                          {options.tcp_skip_in_flight, BERTH_CHECKPOINT_TCP_SKIP_IN_FLIGHT},
                          {options.external_unix_sockets, BERTH_CHECKPOINT_EXTERNAL_UNIX_SOCKETS},
                          {options.file_locks, BERTH_CHECKPOINT_FILE_LOCKS},
                          {options.lazy_pages, BERTH_CHECKPOINT_LAZY_PAGES},
                          {options.empty_network, BERTH_CHECKPOINT_EMPTY_NETWORK},
                          {options.auto_dedup, BERTH_CHECKPOINT_AUTO_DEDUP},
                          {options.link_remap, BERTH_CHECKPOINT_LINK_REMAP}});
    return raw;
}

/* The options as berth.h has them, with what they point to. */
class RawRestore {
public:
    explicit RawRestore(const RestoreOptions &options) : process_(options.process) {
        berth_restore_options_init(&raw_, sizeof raw_);
        raw_.images = or_null(options.images);
        raw_.work = or_null(options.work);
        raw_.process = process_.get();
        for (const auto &pair : options.veth_pairs) veths_.push_back({pair.name.c_str(), pair.host_name.c_str()});
        raw_.veth_pairs = veths_.data();
        raw_.veth_pair_count = veths_.size();
        for (const auto &root : options.cgroup_roots) roots_.push_back({root.controller.c_str(), root.path.c_str()});
        raw_.cgroup_roots = roots_.data();
        raw_.cgroup_root_count = roots_.size();
        raw_.lsm_profile = or_null(options.lsm_profile);
        raw_.lsm_mount_context = or_null(options.lsm_mount_context);
        raw_.config_file = or_null(options.config_file);
        raw_.timeout_ms = options.timeout.count();
        raw_.cgroup_mode = static_cast<std::int32_t>(options.cgroup_mode);
        raw_.flags = flags_of({{options.shell_job, BERTH_RESTORE_SHELL_JOB},
                               {options.tcp_established, BERTH_RESTORE_TCP_ESTABLISHED},
                               {options.tcp_close, BERTH_RESTORE_TCP_CLOSE},
                               {options.external_unix_sockets, BERTH_RESTORE_EXTERNAL_UNIX_SOCKETS},
                               {options.file_locks, BERTH_RESTORE_FILE_LOCKS},
                               {options.lazy_pages, BERTH_RESTORE_LAZY_PAGES},
                               {options.empty_network, BERTH_RESTORE_EMPTY_NETWORK},
                               {options.auto_dedup, BERTH_RESTORE_AUTO_DEDUP}});
    }
    RawRestore(const RawRestore &) = delete;
    RawRestore &operator=(const RawRestore &) = delete;
    const berth_restore_options *get() const noexcept { return &raw_; }

    static std::optional<Error> wrong(const RestoreOptions &options) {
        for (const auto &pair : options.veth_pairs) {
            if (auto wrong = nul_among({{&pair.name, "veth_pairs"}, {&pair.host_name, "veth_pairs"}})) return wrong;
        }
        for (const auto &root : options.cgroup_roots) {
            if (auto wrong = nul_among({{&root.controller, "cgroup_roots"}, {&root.path, "cgroup_roots"}})) return wrong;
        }
        if (auto wrong = RawOptions::wrong(options.process)) return wrong;
        return nul_among({{&options.images, "images"},
                          {&options.work, "work"},
                          {&options.lsm_profile, "lsm_profile"},
                          {&options.lsm_mount_context, "lsm_mount_context"},
                          {&options.config_file, "config_file"}});
    }

private:
    berth_restore_options raw_;
    RawOptions process_;
    std::vector<berth_veth_pair> veths_;
    std::vector<berth_cgroup_root> roots_;
};

inline Stats stats(const berth_stats &raw) {
    const auto count = [](std::uint64_t number) {
        return number == std::numeric_limits<std::uint64_t>::max() ? Stats::Count() : Stats::Count(number);
    };
    const auto time = [](std::uint64_t ns) {
        return ns == std::numeric_limits<std::uint64_t>::max() ? Stats::Time() : Stats::Time(std::chrono::nanoseconds(ns));
    };
    Stats stats;
    stats.cpu_usage = time(raw.cpu_usage_ns);
    stats.cpu_user = time(raw.cpu_user_ns);
    stats.cpu_system = time(raw.cpu_system_ns);
    stats.cpu_periods = count(raw.cpu_periods);
    stats.cpu_throttled_periods = count(raw.cpu_throttled_periods);
    stats.cpu_throttled = time(raw.cpu_throttled_ns);
    stats.memory_usage = count(raw.memory_usage);
    stats.memory_limit = count(raw.memory_limit);
    stats.memory_peak = count(raw.memory_peak);
    stats.memory_swap_usage = count(raw.memory_swap_usage);
    stats.memory_swap_limit = count(raw.memory_swap_limit);
    stats.oom_kills = count(raw.oom_kills);
    stats.pids_current = count(raw.pids_current);
    stats.pids_limit = count(raw.pids_limit);
    stats.memory_limit_hits = count(raw.memory_limit_hits);
    stats.memory_anon = count(raw.memory_anon);
    stats.memory_file = count(raw.memory_file);
    stats.memory_inactive_file = count(raw.memory_inactive_file);
    stats.memory_kernel = count(raw.memory_kernel);
    stats.page_faults = count(raw.page_faults);
    stats.page_faults_major = count(raw.page_faults_major);
    stats.io_read_bytes = count(raw.io_read_bytes);
    stats.io_write_bytes = count(raw.io_write_bytes);
    stats.io_reads = count(raw.io_reads);
    stats.io_writes = count(raw.io_writes);
    stats.cpu_pressure_some = time(raw.cpu_pressure_some_ns);
    stats.cpu_pressure_full = time(raw.cpu_pressure_full_ns);
    stats.memory_pressure_some = time(raw.memory_pressure_some_ns);
    stats.memory_pressure_full = time(raw.memory_pressure_full_ns);
    stats.io_pressure_some = time(raw.io_pressure_some_ns);
    stats.io_pressure_full = time(raw.io_pressure_full_ns);
    return stats;
}

} // namespace detail

/** A validated configuration. */
class Config : public detail::Handle<berth_config, berth_config_free> {
public:
    using Handle::Handle;

    /** Reads config.json from a directory. */
    static Outcome<Config> from_bundle(const std::string &bundle) {
        if (auto wrong = detail::nul_in(bundle, "bundle")) return detail::failed<Config>(*wrong);
        return detail::ask<berth_config *>(made, berth_config_from_bundle, bundle.c_str());
    }
    /** Reads a file instead of config.json, with the directory of a bundle. */
    static Outcome<Config> from_file(const std::string &bundle, const std::string &file) {
        if (auto wrong = detail::nul_in(bundle, "bundle")) return detail::failed<Config>(*wrong);
        if (auto wrong = detail::nul_in(file, "file")) return detail::failed<Config>(*wrong);
        return detail::ask<berth_config *>(made, berth_config_from_file, bundle.c_str(), file.c_str());
    }
    /** Parses the text of a configuration. `rootfs`: a directory to use instead of root.path; empty: none. */
    static Outcome<Config> from_json(const std::string &json, const std::string &rootfs = {}) {
        if (auto wrong = detail::nul_in(json, "json")) return detail::failed<Config>(*wrong);
        if (auto wrong = detail::nul_in(rootfs, "rootfs")) return detail::failed<Config>(*wrong);
        return detail::ask<berth_config *>(made, berth_config_from_json, json.c_str(), detail::or_null(rootfs));
    }
    /** Returns a default configuration, the one of `runc spec`. */
    static Outcome<std::string> default_json() { return detail::ask<char *>(detail::text, berth_config_default_json); }
    /** Returns a default configuration for an unprivileged caller: a user namespace whose root is this user and group of the host. */
    static Outcome<std::string> default_rootless_json(std::uint32_t uid, std::uint32_t gid) {
        return detail::ask<char *>(detail::text, berth_config_default_rootless_json, uid, gid);
    }

    /** Returns a copy with networks and routes. */
    Outcome<Config> with_networks(const std::string &networks_json) const {
        if (auto wrong = detail::nul_in(networks_json, "networks_json")) return detail::failed<Config>(*wrong);
        return detail::ask<berth_config *>(made, berth_config_with_networks, get(), networks_json.c_str());
    }
    /** Checks what the configuration refers to on the host; changes nothing. */
    Outcome<void> validate() const { return detail::tell(berth_config_validate, get()); }
    /** Returns the steps of creating a container. */
    Outcome<std::string> explain_json() const { return detail::ask<char *>(detail::text, berth_config_explain_json, get()); }
    Outcome<std::string> to_json() const { return detail::ask<char *>(detail::text, berth_config_to_json, get()); }

private:
    static Config made(berth_config *raw) { return Config(raw); }
};

/** A process of a container. */
class Process : public detail::Handle<berth_process, berth_process_free> {
public:
    using Handle::Handle;

    Outcome<std::int32_t> pid() const {
        return detail::ask<std::int32_t>([](std::int32_t pid) { return pid; }, berth_process_pid, get());
    }
    /** Returns a descriptor for poll(2): readable when the process has ended. */
    Outcome<Fd> pidfd() const { return detail::ask<std::int32_t>(detail::descriptor, berth_process_pidfd, get()); }
    /** Blocks until the process has ended, at most `time`: then Code::timeout. Code::status_unknown if its status is not available. */
    Outcome<ExitStatus> wait(WaitTime time = for_ever) const {
        return detail::ask<berth_exit_status>(detail::exit_status, berth_process_wait, get(), time.milliseconds());
    }
    /** Sends a signal; 0 only checks whether the process exists. */
    Outcome<void> signal(int signal) const { return detail::tell(berth_process_signal, get(), signal); }
    /** Returns the caller's ends of the requested pipes, each once. */
    Outcome<std::array<Fd, 3>> take_stdio() const {
        std::int32_t fds[3];
        berth_error *error = nullptr;
        const std::int32_t result = berth_process_take_stdio(get(), fds, &error);
        return detail::done(result, error, [&] { return std::array<Fd, 3>{Fd(fds[0]), Fd(fds[1]), Fd(fds[2])}; });
    }
    /** Returns the master of the process's terminal, a new descriptor each time; none if this object has no terminal. */
    Outcome<Fd> terminal() const { return detail::ask<std::int32_t>(detail::descriptor, berth_process_terminal, get()); }
    /** Sets the terminal's size, in characters. */
    Outcome<void> resize_terminal(std::uint16_t rows, std::uint16_t columns) const {
        return detail::tell(berth_process_resize_terminal, get(), rows, columns);
    }
};

/** A subscription to events of one container; destroying it ends the subscription. */
class Events : public detail::Handle<berth_event, berth_event_free> {
public:
    using Handle::Handle;

    /** Returns a descriptor for poll(2): readable when an event may be available. */
    Outcome<Fd> descriptor() const { return detail::ask<std::int32_t>(detail::descriptor, berth_event_fd, get()); }
    /** Returns the events since the last call. Blocks at most `time`: then Code::timeout. */
    Outcome<Occurred> read(WaitTime time = for_ever) const {
        const auto made = [](const berth_occurred &raw) { return Occurred{raw.count, raw.ended != 0}; };
        return detail::ask<berth_occurred>(made, berth_event_read, get(), time.milliseconds());
    }
};

/** A handle of one container. */
class Container : public detail::Handle<berth_container, berth_container_free> {
public:
    using Handle::Handle;

    /** Empty for a moved-from object. */
    std::string id() const {
        const char *id = berth_container_id(get());
        return id ? id : "";
    }
    Outcome<Status> status() const {
        return detail::ask<std::int32_t>([](std::int32_t status) { return Status(status); }, berth_container_status, get());
    }
    Outcome<std::string> state_json() const { return text(berth_container_state_json); }
    Outcome<std::string> config_json() const { return text(berth_container_config_json); }
    /** In the caller's pid namespace, in ascending order. */
    Outcome<std::vector<std::int32_t>> pids() const {
        std::int32_t *pids = nullptr;
        std::size_t count = 0;
        berth_error *error = nullptr;
        const std::int32_t result = berth_container_pids(get(), &pids, &count, &error);
        const std::unique_ptr<std::int32_t, void (*)(std::int32_t *)> owned(pids, berth_pids_free);
        return detail::done(result, error, [&] { return std::vector<std::int32_t>(pids, pids + count); });
    }
    Outcome<Stats> stats() const {
        berth_stats raw{};
        raw.size = sizeof raw;
        berth_error *error = nullptr;
        const std::int32_t result = berth_container_stats(get(), &raw, &error);
        return detail::done(result, error, [&] { return detail::stats(raw); });
    }
    Outcome<std::string> stats_json() const { return text(berth_container_stats_json); }
    Outcome<std::string> interfaces_json(Interfaces which = Interfaces::networks) const {
        const std::uint32_t flags = which == Interfaces::inside ? BERTH_INTERFACES_INSIDE : 0;
        return detail::ask<char *>(detail::text, berth_container_interfaces_json, get(), flags);
    }

    /** Starts a created container. Blocks until its program runs, including its hooks. */
    Outcome<void> start() const { return detail::tell(berth_container_start, get()); }
    /** Executes another process. `process_json` is an OCI "process". Blocks until its program runs. */
    Outcome<Process> exec(const std::string &process_json, const ProcessOptions &options = {}) const {
        if (auto wrong = detail::nul_in(process_json, "process_json")) return detail::failed<Process>(*wrong);
        if (auto wrong = detail::RawOptions::wrong(options)) return detail::failed<Process>(*wrong);
        const detail::RawOptions raw(options);
        return detail::ask<berth_process *>(process, berth_container_exec, get(), process_json.c_str(), raw.get());
    }
    Outcome<void> signal(int signal, Recipients to = Recipients::init) const {
        const std::uint32_t flags = to == Recipients::all ? BERTH_SIGNAL_ALL : 0;
        return detail::tell(berth_container_signal, get(), signal, flags);
    }
    Outcome<void> pause() const { return detail::tell(berth_container_pause, get()); }
    Outcome<void> resume() const { return detail::tell(berth_container_resume, get()); }
    /** Dumps the container into images for Runtime::restore; it is stopped then, unless the options leave it running. */
    Outcome<void> checkpoint(const CheckpointOptions &options) const {
        if (auto wrong = detail::wrong(options)) return detail::failed<void>(*wrong);
        const berth_checkpoint_options raw = detail::checkpoint_options(options);
        return detail::tell(berth_container_checkpoint, get(), &raw);
    }
    /** Updates limits. `resources_json` is an OCI "linux.resources"; members that it omits do not change. */
    Outcome<void> set(const std::string &resources_json) const {
        if (auto wrong = detail::nul_in(resources_json, "resources_json")) return detail::failed<void>(*wrong);
        return detail::tell(berth_container_set, get(), resources_json.c_str());
    }
    /** Blocks until init has ended, at most `time`: then Code::timeout. */
    Outcome<ExitStatus> wait(WaitTime time = for_ever) const {
        return detail::ask<berth_exit_status>(detail::exit_status, berth_container_wait, get(), time.milliseconds());
    }
    /** Returns a descriptor for poll(2): readable when init has ended. */
    Outcome<Fd> pidfd() const { return detail::ask<std::int32_t>(detail::descriptor, berth_container_pidfd, get()); }
    Outcome<Process> init_process() const {
        return detail::ask<berth_process *>(process, berth_container_init_process, get());
    }
    Outcome<Events> notify_oom() const { return detail::ask<berth_event *>(events, berth_container_notify_oom, get()); }
    Outcome<Events> notify_memory_pressure(Pressure level) const {
        return detail::ask<berth_event *>(events, berth_container_notify_memory_pressure, get(),
                                          static_cast<std::int32_t>(level));
    }
    /** Whether the kernel's OOM killer has ended init. Call it after wait and before remove. */
    Outcome<bool> oom_killed() const {
        return detail::ask<std::int32_t>([](std::int32_t killed) { return killed != 0; }, berth_container_oom_killed, get());
    }
    /** berth_container_delete: deletes a stopped container, with Force::kill one in any state. */
    Outcome<void> remove(Force force = Force::no) const {
        const std::uint32_t flags = force == Force::kill ? BERTH_DELETE_FORCE : 0;
        return detail::tell(berth_container_delete, get(), flags);
    }

private:
    static Process process(berth_process *raw) { return Process(raw); }
    static Events events(berth_event *raw) { return Events(raw); }
    template <class Function>
    Outcome<std::string> text(Function function) const {
        return detail::ask<char *>(detail::text, function, get());
    }
};

/** A state root with its containers. */
class Runtime : public detail::Handle<berth_runtime, berth_runtime_free> {
public:
    using Handle::Handle;

    /** berth_runtime_new. */
    static Outcome<Runtime> open(const RuntimeOptions &options = {}) {
        if (auto wrong = detail::nul_in(options.state_root, "state_root")) return detail::failed<Runtime>(*wrong);
        if (auto wrong = detail::nul_in(options.criu, "criu")) return detail::failed<Runtime>(*wrong);
        std::vector<const char *> hook_env;
        for (const auto &variable : options.hook_env) {
            if (auto wrong = detail::nul_in(variable, "hook_env")) return detail::failed<Runtime>(*wrong);
            hook_env.push_back(variable.c_str());
        }
        berth_runtime_options raw;
        berth_runtime_options_init(&raw, sizeof raw);
        raw.state_root = detail::or_null(options.state_root);
        raw.criu = detail::or_null(options.criu);
        raw.hook_env = hook_env.data();
        raw.hook_env_count = hook_env.size();
        raw.setup_timeout_ms = options.setup_timeout.count();
        raw.lock_timeout_ms = options.lock_timeout.count();
        raw.hook_timeout_ms = options.hook_timeout.count();
        raw.cgroup_timeout_ms = options.cgroup_timeout.count();
        raw.cgroup_manager = static_cast<std::int32_t>(options.cgroup_manager);
        if (options.systemd_annotations) raw.flags |= BERTH_RUNTIME_SYSTEMD_ANNOTATIONS;
        if (options.no_pivot) raw.flags |= BERTH_RUNTIME_NO_PIVOT;
        if (options.idmapped_root) raw.flags |= BERTH_RUNTIME_IDMAPPED_ROOT;
        if (options.rootless) raw.flags |= BERTH_RUNTIME_ROOTLESS;
        if (options.rootless_auto) raw.flags |= BERTH_RUNTIME_ROOTLESS_AUTO;
        if (options.return_devices) raw.flags |= BERTH_RUNTIME_RETURN_DEVICES;
        return detail::ask<berth_runtime *>([](berth_runtime *made) { return Runtime(made); }, berth_runtime_new, &raw);
    }

    /** Creates a container without starting its program. Blocks until setup is complete. After an error nothing is left behind. */
    Outcome<Container> create(const std::string &id, const Config &config, const ProcessOptions &options = {}) const {
        return make(berth_container_create, id, config, options);
    }
    /** Creates and starts a container. */
    Outcome<Container> run(const std::string &id, const Config &config, const ProcessOptions &options = {}) const {
        return make(berth_container_run, id, config, options);
    }
    /** Restores a container from the images of a checkpoint. After an error nothing is left behind. */
    Outcome<Container> restore(const std::string &id, const Config &config, const RestoreOptions &options) const {
        if (auto wrong = detail::nul_in(id, "id")) return detail::failed<Container>(*wrong);
        if (auto wrong = detail::RawRestore::wrong(options)) return detail::failed<Container>(*wrong);
        const detail::RawRestore raw(options);
        return detail::ask<berth_container *>(container, berth_container_restore, get(), id.c_str(), config.get(), raw.get());
    }
    /** Returns what CRIU supports on this host, as JSON; see berth_criu_check. */
    Outcome<std::string> criu_check() const { return detail::ask<char *>(detail::text, berth_criu_check, get()); }
    /** Opens a container that this or another process has created. */
    Outcome<Container> load(const std::string &id) const {
        if (auto wrong = detail::nul_in(id, "id")) return detail::failed<Container>(*wrong);
        return detail::ask<berth_container *>(container, berth_container_load, get(), id.c_str());
    }
    /** Returns the states of all containers, sorted by id: an array of Container::state_json. If a state cannot be read, "status"
     *  is "unknown", and "error" says why. */
    Outcome<std::string> list_json() const { return detail::ask<char *>(detail::text, berth_runtime_list_json, get()); }
    /** Lists every step of create with this configuration and these options, without executing one. */
    Outcome<std::string> explain_json(const Config &config, const ProcessOptions &options = {}) const {
        if (auto wrong = detail::RawOptions::wrong(options)) return detail::failed<std::string>(*wrong);
        const detail::RawOptions raw(options);
        return detail::ask<char *>(detail::text, berth_runtime_explain_json, get(), config.get(), raw.get());
    }
    /** Removes containers whose creating or deleting process was killed; returns their ids as a JSON array. */
    Outcome<std::string> recover() const { return detail::ask<char *>(detail::text, berth_runtime_recover, get()); }

private:
    static Container container(berth_container *raw) { return Container(raw); }
    template <class Function>
    Outcome<Container> make(Function function, const std::string &id, const Config &config, const ProcessOptions &options) const {
        if (auto wrong = detail::nul_in(id, "id")) return detail::failed<Container>(*wrong);
        if (auto wrong = detail::RawOptions::wrong(options)) return detail::failed<Container>(*wrong);
        const detail::RawOptions raw(options);
        return detail::ask<berth_container *>(container, function, get(), id.c_str(), config.get(), raw.get());
    }
};

inline std::string version() { return berth_version(); }
/** The ABI version of the header that the program was compiled with. */
inline constexpr std::uint32_t header_abi_version = BERTH_ABI_VERSION;
inline std::uint32_t abi_version() noexcept { return berth_abi_version(); }
/** The version of that header. */
inline const std::string header_version = std::to_string(BERTH_VERSION_MAJOR) + "." + std::to_string(BERTH_VERSION_MINOR) + "." +
                                          std::to_string(BERTH_VERSION_PATCH);
/** Whether the library has a feature; see berth_has_feature. */
inline bool has_feature(const std::string &name) noexcept { return berth_has_feature(name.c_str()) == 1; }

/** Returns the features document of the OCI runtime specification. */
inline Outcome<std::string> features_json() { return detail::ask<char *>(detail::text, berth_features_json); }

/** Receives a log line: its level, the module that logs, and the message. */
using LogFunction = std::function<void(LogLevel level, std::string_view target, std::string_view message)>;

namespace detail {

/* One for the program; never destroyed, because threads may log while it ends. */
struct Log {
    std::mutex mutex;
    std::unique_ptr<LogFunction> function;
    static Log &instance() {
        static Log *log = new Log;
        return *log;
    }
    static bool &inside() noexcept {
        thread_local bool inside = false;
        return inside;
    }
    /* Nothing may be thrown through the library: what a function throws is dropped. */
    static void call(void *function, std::int32_t level, const char *target, const char *message) noexcept {
        inside() = true;
#ifdef BERTH_NO_EXCEPTIONS
        (*static_cast<LogFunction *>(function))(LogLevel(level), target, message);
#else
        try {
            (*static_cast<LogFunction *>(function))(LogLevel(level), target, message);
        } catch (...) {
        }
#endif
        inside() = false;
    }
    /* Waits for no lock inside the log function itself: there the library refuses with Code::busy. */
    static std::unique_lock<std::mutex> lock() {
        return inside() ? std::unique_lock<std::mutex>() : std::unique_lock<std::mutex>(instance().mutex);
    }
};

} // namespace detail

/**
 * Sends the log to a function; an empty one disables it. It is called from any thread that is inside a call of the
 * library. Blocks while another thread is in the previous function, which is then destroyed. Code::busy from inside it.
 */
inline Outcome<void> log_to(LogFunction function) {
    auto next = function ? std::make_unique<LogFunction>(std::move(function)) : nullptr;
    const auto lock = detail::Log::lock();
    berth_error *error = nullptr;
    const std::int32_t result = berth_log_set_callback(next ? detail::Log::call : nullptr, next.get(), &error);
    if (result == 0) detail::Log::instance().function = std::move(next);
    return detail::done(result, error);
}

/** Sends the log to a descriptor, which is duplicated, as lines of JSON; -1 disables it. */
inline Outcome<void> log_to_fd(int fd) {
    const auto lock = detail::Log::lock();
    berth_error *error = nullptr;
    const std::int32_t result = berth_log_set_fd(fd, &error);
    if (result == 0) detail::Log::instance().function = nullptr;
    return detail::done(result, error);
}

/** Sets the most detailed level that is logged; see berth_log_set_level. */
inline Outcome<void> log_level(LogLevel level) {
    return detail::tell(berth_log_set_level, static_cast<std::int32_t>(level));
}

} // inline namespace

} // namespace berth

#endif
