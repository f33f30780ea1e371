/*
 * libberth: a Linux container runtime as a library.
 *
 * Generated from src/capi by cbindgen; change it there.
 *
 * CALLS. Most functions return int32_t: 0 is success, everything else a negative BERTH_E_... code. Their last
 * parameter receives the error: on failure, and only then, *error becomes a new object that the caller releases with
 * berth_error_free. It may be NULL. NULL for any other pointer is BERTH_E_INVALID_ARGUMENT, unless the parameter is
 * documented as optional. On failure, an output that is a pointer is NULL, one that is a descriptor is -1, and all others
 * are unchanged.
 *
 * OWNERSHIP. What a function returns belongs to the caller: release handles with berth_..._free, strings (char *) with
 * berth_string_free, descriptors with close(2); returned descriptors are close-on-exec. A const char * that a getter
 * returns belongs to the handle and is valid as long as the handle. What a function takes is copied, and descriptors are
 * duplicated: the caller may free or close all of it when the call returns. Freeing a handle never affects the container
 * or process that it refers to.
 *
 * THREADS. Every function may be called from any thread at any time, also several at once on one handle; only
 * berth_..._free must be the last use of its handle. Errors are not bound to a thread. No function may be called from a
 * signal handler, or in a forked child of a multithreaded program before it has executed a program.
 *
 * STRINGS are NUL-terminated UTF-8, except paths, which are any bytes and may be relative to the current directory.
 *
 * STRUCTS that may grow begin with their size as the caller knows it. Members that are zero have their default.
 * The library accepts structs of older and of newer headers; in a struct of a newer header, members that the library does
 * not know must be zero (else BERTH_E_UNSUPPORTED).
 *
 * TIMEOUTS are in milliseconds: a negative number waits for ever, 0 does not wait. Signals do not interrupt a wait.
 *
 * ANY CALL may fail with BERTH_E_INVALID_ARGUMENT (see above), BERTH_E_SYSTEM (a system call failed; berth_error_errno
 * returns the errno), or BERTH_E_INTERNAL (a defect of libberth, caught at this boundary; only in this case a line may be
 * written to standard error). Other errors are listed at each function.
 *
 * "OCI" below is the Open Container Initiative's runtime specification, https://github.com/opencontainers/runtime-spec.
 */


#ifndef BERTH_H
#define BERTH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Marks a declaration that a later soname will not have. Define BERTH_DEPRECATED(instead) as empty before this header to
 * silence the warnings.
 */
#ifndef BERTH_DEPRECATED
#if defined(__GNUC__)
#define BERTH_DEPRECATED(instead) __attribute__((deprecated(instead)))
#else
#define BERTH_DEPRECATED(instead)
#endif
#endif


/**
 * The version of the ABI that this header describes. It grows by one whenever functions, constants or members are
 * added; nothing is removed or changed under the same soname. Compare with berth_abi_version().
 */
#define BERTH_ABI_VERSION 2

/**
 * The major version of this header, for the preprocessor. Compare with berth_version().
 */
#define BERTH_VERSION_MAJOR 0

/**
 * The minor version of this header.
 */
#define BERTH_VERSION_MINOR 1

/**
 * The patch version of this header.
 */
#define BERTH_VERSION_PATCH 0

/**
 * For berth_runtime_options.flags, with BERTH_CGROUP_MANAGER_SYSTEMD: annotations whose names begin with
 * "org.systemd.property." become properties of the container's scope, like "org.systemd.property.TimeoutStopUSec":
 * "uint64 5000000" (values in GVariant's text format). Do not set it for untrusted configurations: a scope's
 * properties can affect more than the container.
 */
#define BERTH_RUNTIME_SYSTEMD_ANNOTATIONS 1

/**
 * For berth_runtime_options.flags: change the root of new containers by moving its mount onto "/" and chroot(2)
 * instead of pivot_root(2), as runc's --no-pivot. For hosts whose root is the initial RAM filesystem, where pivot_root
 * is impossible. Less secure: the host's mounts stay in the mount namespace beneath the root, and a process that can
 * unmount it (CAP_SYS_ADMIN) reaches them. The host's procfs and sysfs are removed before.
 */
#define BERTH_RUNTIME_NO_PIVOT 2

/**
 * For berth_runtime_options.flags: mount the root filesystem of new containers with a new user namespace id-mapped
 * (Linux 5.12). Files that belong to the host's root then belong to the container's root without being changed. create
 * fails if the filesystem does not support id-mapped mounts.
 */
#define BERTH_RUNTIME_IDMAPPED_ROOT 4

/**
 * For berth_runtime_options.flags, with BERTH_CGROUP_MANAGER_FILES: support unprivileged callers, as runc's
 * --rootless. A container without linux.cgroupsPath gets cgroups in those hierarchies where the caller may create
 * them. If there are none, it stays in the caller's cgroups, as with BERTH_CGROUP_MANAGER_DISABLED, and limits that
 * need a cgroup are BERTH_E_UNSUPPORTED. In a user namespace, where no device node can be created, device rules that
 * the caller may not set are omitted with a warning in the log.
 */
#define BERTH_RUNTIME_ROOTLESS 8

/**
 * For berth_runtime_options.flags: as BERTH_RUNTIME_ROOTLESS if the caller is not root, or is root in a user namespace
 * other than the initial one, when the first container is created.
 */
#define BERTH_RUNTIME_ROOTLESS_AUTO 16

/**
 * For berth_runtime_options.flags: return the devices of `linux.netDevices` to the host when their container is deleted,
 * with the addresses and the state that they had. Without it they stay in the network namespace, as the specification
 * wants; when a namespace ends the kernel destroys a virtual device and renames others.
 */
#define BERTH_RUNTIME_RETURN_DEVICES 32

/**
 * For berth_process_options.flags, at create: the container's processes keep the session keyring (keyrings(7)) of the
 * process that starts them, instead of a new one.
 */
#define BERTH_PROCESS_INHERIT_KEYRING 1

/**
 * For berth_process_options.flags, with berth_container_exec: if the container is paused, wait until it is resumed.
 * Fails with BERTH_E_TIMEOUT after the setup timeout.
 */
#define BERTH_PROCESS_WAIT_WHILE_PAUSED 2

/**
 * For berth_process_options.flags, at create: fail (BERTH_E_SYSTEM with ENOENT) if the program does not exist, as runc
 * does, or with EISDIR if it is a directory. Without it only berth_container_start fails: until then hooks may provide
 * the program.
 */
#define BERTH_PROCESS_FIND_PROGRAM 4

/**
 * For berth_process_options.flags, with process.terminal: newlines in the program's output stay as they are, because
 * ONLCR (termios(3)) is cleared, as runc does for a session in the foreground. The terminal on which the output is
 * shown must then have ONLCR itself.
 */
#define BERTH_PROCESS_PLAIN_NEWLINES 8

/**
 * For berth_container_signal: signal every process of the container.
 */
#define BERTH_SIGNAL_ALL 1

/**
 * For berth_container_delete: kill the container first if it is running.
 */
#define BERTH_DELETE_FORCE 1

/**
 * For berth_container_interfaces_json: include every interface inside the container.
 */
#define BERTH_INTERFACES_INSIDE 1

/**
 * Leave the container running after the checkpoint. Otherwise it is stopped.
 */
#define BERTH_CHECKPOINT_LEAVE_RUNNING 1

/**
 * Dump only memory and leave the container running: the next checkpoint, with these images as parent_images, saves
 * only what changed since. May be repeated. Needs a kernel with memory tracking (else BERTH_E_UNSUPPORTED).
 */
#define BERTH_CHECKPOINT_PRE_DUMP 2

/**
 * The container's terminal or session belongs to the caller. The restore needs the same flag.
 */
#define BERTH_CHECKPOINT_SHELL_JOB 4

/**
 * Dump established TCP connections. The restore needs the same flag.
 */
#define BERTH_CHECKPOINT_TCP_ESTABLISHED 8

/**
 * Skip TCP connections that are not established yet; otherwise they are an error.
 */
#define BERTH_CHECKPOINT_TCP_SKIP_IN_FLIGHT 16

/**
 * Dump unix sockets that are connected to processes outside the container. The restore needs the same flag.
 */
#define BERTH_CHECKPOINT_EXTERNAL_UNIX_SOCKETS 32

/**
 * Dump file locks. The restore needs the same flag.
 */
#define BERTH_CHECKPOINT_FILE_LOCKS 64

/**
 * Keep memory here until a restore elsewhere requests it, at page_server_address and page_server_port; the checkpoint
 * waits for that. Needs a kernel with userfaultfd (else BERTH_E_UNSUPPORTED).
 */
#define BERTH_CHECKPOINT_LAZY_PAGES 128

/**
 * Do not dump the contents of the container's network namespace. The restore needs the same flag.
 */
#define BERTH_CHECKPOINT_EMPTY_NETWORK 256

/**
 * Remove pages from parent_images that this dump contains as well.
 */
#define BERTH_CHECKPOINT_AUTO_DEDUP 512

/**
 * Link open files that were unlinked, in their directory, for the time of the checkpoint.
 */
#define BERTH_CHECKPOINT_LINK_REMAP 1024

/**
 * As BERTH_CHECKPOINT_SHELL_JOB; `process` gives the container's standard input.
 */
#define BERTH_RESTORE_SHELL_JOB 4

/**
 * As BERTH_CHECKPOINT_TCP_ESTABLISHED.
 */
#define BERTH_RESTORE_TCP_ESTABLISHED 8

/**
 * Restore established TCP connections as closed ones.
 */
#define BERTH_RESTORE_TCP_CLOSE 16

/**
 * As BERTH_CHECKPOINT_EXTERNAL_UNIX_SOCKETS.
 */
#define BERTH_RESTORE_EXTERNAL_UNIX_SOCKETS 32

/**
 * As BERTH_CHECKPOINT_FILE_LOCKS.
 */
#define BERTH_RESTORE_FILE_LOCKS 64

/**
 * Request memory when it is used, from a `criu lazy-pages` that runs in the same work directory.
 */
#define BERTH_RESTORE_LAZY_PAGES 128

/**
 * As BERTH_CHECKPOINT_EMPTY_NETWORK.
 */
#define BERTH_RESTORE_EMPTY_NETWORK 256

/**
 * Remove pages from the images as soon as they are restored.
 */
#define BERTH_RESTORE_AUTO_DEDUP 512

/**
 * The stable error codes of the C ABI. Numbers never change: append, never renumber.
 */
enum berth_e
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * A container with this id exists already.
     */
    BERTH_E_ID_IN_USE = -1,
    /**
     * The id has characters or a length that are not allowed.
     */
    BERTH_E_ID_INVALID = -2,
    /**
     * The state root has no container with this id.
     */
    BERTH_E_NOT_FOUND = -3,
    /**
     * The container is paused and the call needs it running.
     */
    BERTH_E_PAUSED = -4,
    /**
     * The container is not stopped and the call needs it stopped.
     */
    BERTH_E_NOT_STOPPED = -5,
    /**
     * The container is not running (or, where the call allows it, not created).
     */
    BERTH_E_NOT_RUNNING = -6,
    /**
     * The container is not paused and the call needs it paused.
     */
    BERTH_E_NOT_PAUSED = -7,
    /**
     * The container was already started.
     */
    BERTH_E_ALREADY_RUNNING = -8,
    /**
     * The configuration is invalid; the message has the JSON path.
     */
    BERTH_E_CONFIG_INVALID = -9,
    /**
     * The process has a terminal, so its streams cannot be chosen.
     */
    BERTH_E_CONSOLE_EXISTS = -10,
    /**
     * A system call failed; the errno says why.
     */
    BERTH_E_SYSTEM = -11,
    /**
     * The kernel, the host or this version of libberth does not support the request.
     */
    BERTH_E_UNSUPPORTED = -12,
    /**
     * The deadline passed.
     */
    BERTH_E_TIMEOUT = -13,
    /**
     * Another process holds the container's lock.
     */
    BERTH_E_BUSY = -14,
    /**
     * CRIU failed.
     */
    BERTH_E_CRIU = -15,
    /**
     * A hook failed.
     */
    BERTH_E_HOOK = -16,
    /**
     * The process has ended, and its exit status is no longer available.
     */
    BERTH_E_STATUS_UNKNOWN = -17,
    /**
     * A parameter is NULL, malformed or out of range.
     */
    BERTH_E_INVALID_ARGUMENT = -18,
    /**
     * A defect of libberth, caught at the boundary of the C ABI.
     */
    BERTH_E_INTERNAL = -19,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum berth_e berth_e;
#else
typedef int32_t berth_e;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The stage at which a call failed.
 */
enum berth_stage
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The caller, inside libberth.
     */
    BERTH_STAGE_HOST = 0,
    /**
     * berth-init, inside the container.
     */
    BERTH_STAGE_INIT = 1,
    /**
     * A hook.
     */
    BERTH_STAGE_HOOK = 2,
    /**
     * CRIU.
     */
    BERTH_STAGE_CRIU = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum berth_stage berth_stage;
#else
typedef int32_t berth_stage;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The status of a container (OCI "State"; *paused* is libberth's addition).
 */
enum berth_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The container is being created.
     */
    BERTH_STATUS_CREATING = 0,
    /**
     * Setup is complete; the program has not been started.
     */
    BERTH_STATUS_CREATED = 1,
    /**
     * The program is running.
     */
    BERTH_STATUS_RUNNING = 2,
    /**
     * The container's processes are frozen, by pause or through the cgroup.
     */
    BERTH_STATUS_PAUSED = 3,
    /**
     * Init has ended, or the creator was killed.
     */
    BERTH_STATUS_STOPPED = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum berth_status berth_status;
#else
typedef int32_t berth_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The severity of a log line.
 */
enum berth_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    BERTH_LOG_LEVEL_ERROR = 1,
    BERTH_LOG_LEVEL_WARN = 2,
    BERTH_LOG_LEVEL_INFO = 3,
    BERTH_LOG_LEVEL_DEBUG = 4,
    BERTH_LOG_LEVEL_TRACE = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum berth_log_level berth_log_level;
#else
typedef int32_t berth_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The kind of a standard stream.
 */
enum berth_stdio
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The caller's own stream. The default.
     */
    BERTH_STDIO_INHERIT = 0,
    /**
     * /dev/null.
     */
    BERTH_STDIO_NULL = 1,
    /**
     * The caller's descriptor `fd`.
     */
    BERTH_STDIO_FD = 2,
    /**
     * A new pipe; berth_process_take_stdio returns its other end.
     */
    BERTH_STDIO_PIPE = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum berth_stdio berth_stdio;
#else
typedef int32_t berth_stdio;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How a process ended.
 */
enum berth_exit
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * It exited: `code` is its exit status.
     */
    BERTH_EXIT_EXITED = 1,
    /**
     * A signal killed it: `signal` is its number.
     */
    BERTH_EXIT_SIGNALED = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum berth_exit berth_exit;
#else
typedef int32_t berth_exit;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Memory pressure levels, for berth_container_notify_memory_pressure.
 */
enum berth_pressure
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The kernel reclaims memory; caches shrink.
     */
    BERTH_PRESSURE_LOW = 1,
    /**
     * Processes are stalled noticeably.
     */
    BERTH_PRESSURE_MEDIUM = 2,
    /**
     * Little work gets done for lack of memory; the OOM killer may be next.
     */
    BERTH_PRESSURE_CRITICAL = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum berth_pressure berth_pressure;
#else
typedef int32_t berth_pressure;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The manager of containers' cgroups.
 */
enum berth_cgroup_manager
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * libberth writes to the cgroup filesystems (cgroupfs). linux.cgroupsPath is a path.
     */
    BERTH_CGROUP_MANAGER_FILES = 0,
    /**
     * systemd: each container is a transient scope (systemd.scope(5)), delegated to libberth, with its limits as
     * properties. linux.cgroupsPath is "slice:prefix:name"; the default is "berth-<id>.scope" in system.slice. Needs a
     * host with cgroup v2 only, and systemd's or D-Bus's socket below /run (else create fails with
     * BERTH_E_UNSUPPORTED).
     */
    BERTH_CGROUP_MANAGER_SYSTEMD = 1,
    /**
     * No cgroups: containers stay in the caller's cgroups. They need a new pid namespace and may have no
     * linux.resources, including device rules (BERTH_E_UNSUPPORTED). Pausing, listing and signalling all processes,
     * statistics and events are BERTH_E_UNSUPPORTED.
     */
    BERTH_CGROUP_MANAGER_DISABLED = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum berth_cgroup_manager berth_cgroup_manager;
#else
typedef int32_t berth_cgroup_manager;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How a restore handles cgroups that the container has created below its own, and their values. The container's own
 * cgroups and limits are always those of the configuration.
 */
enum berth_cgroup_mode
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Create them; restore values only in those created. The default.
     */
    BERTH_CGROUP_MODE_SOFT = 0,
    /**
     * Neither dump nor create them: all processes are in the container's own cgroups.
     */
    BERTH_CGROUP_MODE_IGNORE = 1,
    /**
     * All must exist.
     */
    BERTH_CGROUP_MODE_NONE = 2,
    /**
     * All must exist; restore their values.
     */
    BERTH_CGROUP_MODE_PROPERTIES = 3,
    /**
     * Create missing ones; restore all values.
     */
    BERTH_CGROUP_MODE_FULL = 4,
    /**
     * None may exist; create all. On cgroup v1 CRIU counts the container's own cgroups and refuses a restore.
     */
    BERTH_CGROUP_MODE_STRICT = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum berth_cgroup_mode berth_cgroup_mode;
#else
typedef int32_t berth_cgroup_mode;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How packets of TCP connections are blocked during a dump. A restore ends the block that its images were dumped with.
 */
enum berth_network_lock
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * nftables, which CRIU controls itself. The default.
     */
    BERTH_NETWORK_LOCK_NFTABLES = 0,
    /**
     * The host's programs iptables-restore and ip6tables-restore. Their rules stay if CRIU is killed.
     */
    BERTH_NETWORK_LOCK_IPTABLES = 1,
    /**
     * Not at all: a packet that arrives during the dump ends its connection.
     */
    BERTH_NETWORK_LOCK_SKIP = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum berth_network_lock berth_network_lock;
#else
typedef int32_t berth_network_lock;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A validated OCI configuration (config.json). Immutable; one configuration can be used for many containers. Release
 * with berth_config_free.
 */
typedef struct berth_config berth_config;

/**
 * A handle of one container. Several handles, also in several processes, may refer to the same container. Release with
 * berth_container_free.
 */
typedef struct berth_container berth_container;

/**
 * The reason why a call failed. Immutable, readable from any thread. Release with berth_error_free.
 */
typedef struct berth_error berth_error;

/**
 * A subscription to events of one container. Release with berth_event_free, which ends it.
 */
typedef struct berth_event berth_event;

/**
 * A process of a container. Release with berth_process_free.
 */
typedef struct berth_process berth_process;

/**
 * A state root with its containers. Release with berth_runtime_free.
 */
typedef struct berth_runtime berth_runtime;

/**
 * Receives a log line: a BERTH_LOG_LEVEL_... constant, the module that logs ("berth::container::delete"), and a
 * message without a newline. Both strings are valid during the call only.
 */
typedef void (*berth_log_callback)(void *userdata,
                                   int32_t level,
                                   const char *target,
                                   const char *message);

/**
 * Options of a runtime. Initialise with berth_runtime_options_init, or with zeros and the size.
 */
typedef struct berth_runtime_options {
    /**
     * sizeof(berth_runtime_options).
     */
    size_t size;
    /**
     * Directory for the state of the containers, an absolute path; created with mode 0700 if missing. It must belong
     * to the caller. NULL: "/run/berth". It should not survive a reboot, because containers do not.
     */
    const char *state_root;
    /**
     * Time that init may take for setup, in milliseconds, without the time of hooks. 0: 60 s.
     */
    int64_t setup_timeout_ms;
    /**
     * Time that a call waits for the container's lock, in milliseconds, before it fails with BERTH_E_BUSY. 0: 30 s.
     */
    int64_t lock_timeout_ms;
    /**
     * Timeout of hooks that have none of their own, in milliseconds. 0: 60 s.
     */
    int64_t hook_timeout_ms;
    /**
     * Time that freezing, killing and removing cgroups may take, in milliseconds. 0: 30 s.
     */
    int64_t cgroup_timeout_ms;
    /**
     * Cgroup manager for new containers: a BERTH_CGROUP_MANAGER_... constant. 0: BERTH_CGROUP_MANAGER_FILES.
     */
    int32_t cgroup_manager;
    /**
     * BERTH_RUNTIME_... flags.
     */
    uint32_t flags;
    /**
     * CRIU program for checkpoint and restore. NULL: "criu" in the usual directories of the host (/usr/local/sbin,
     * /usr/local/bin, /usr/sbin, /usr/bin, /sbin, /bin).
     */
    const char *criu;
    /**
     * `hook_env_count` strings NAME=VALUE: the environment of hooks that run on the host (prestart, createRuntime,
     * poststart, poststop) and have none of their own. NULL: an empty environment. Passing on the caller's own
     * environment gives its secrets to programs that a configuration names.
     */
    const char *const *hook_env;
    size_t hook_env_count;
} berth_runtime_options;

/**
 * One standard stream: a BERTH_STDIO_... constant, and for BERTH_STDIO_FD the descriptor (else 0).
 *
 * As with runc, the user of the process becomes the owner of the pipe, file or socket, so that the program can open
 * /dev/stdout. Devices keep their owner, and so does whatever the caller may not change.
 */
typedef struct berth_stream {
    int32_t kind;
    int32_t fd;
} berth_stream;

/**
 * Options for starting a process, in addition to its OCI specification. Initialise with berth_process_options_init, or
 * with zeros and the size.
 *
 * process.terminal in the specification decides whether the process has a terminal. If it has, its streams are the
 * terminal, and `stdio` must be left at its default.
 */
typedef struct berth_process_options {
    /**
     * sizeof(berth_process_options).
     */
    size_t size;
    /**
     * Standard input, output and error, by their descriptor's number: 0, 1, 2.
     */
    struct berth_stream stdio[3];
    /**
     * `extra_fd_count` descriptors of the caller, which become the process's descriptors 3, 4 and so on. NULL if there
     * are none.
     */
    const int32_t *extra_fds;
    size_t extra_fd_count;
    /**
     * Path of a unix socket to which the terminal's master is sent (SCM_RIGHTS, unix(7)), as runc's --console-socket.
     * NULL: berth_process_terminal returns the master.
     */
    const char *console_socket;
    /**
     * Signal that the process receives when the thread that started it ends (PR_SET_PDEATHSIG(2const): the thread, not
     * the program). 0: none.
     */
    int32_t parent_death_signal;
    /**
     * BERTH_PROCESS_... flags.
     */
    uint32_t flags;
    /**
     * For berth_container_exec: `cgroup_count` cgroups below the container's own that the process joins. Each is
     * "path", for all hierarchies, or "controller[,controller]:path", for the named ones. They must exist; ".." is
     * refused. NULL: the container's own cgroup.
     */
    const char *const *cgroups;
    size_t cgroup_count;
} berth_process_options;

/**
 * Resource usage of a container. A member is UINT64_MAX if the host does not provide it, or, for a limit, if there is
 * none. Set `size` to sizeof(berth_stats) before the call.
 */
typedef struct berth_stats {
    /**
     * sizeof(berth_stats).
     */
    size_t size;
    /**
     * CPU time of all processes, running and ended, in nanoseconds.
     */
    uint64_t cpu_usage_ns;
    uint64_t cpu_user_ns;
    uint64_t cpu_system_ns;
    /**
     * Number of enforcement periods in which the container had runnable tasks.
     */
    uint64_t cpu_periods;
    /**
     * Number of periods in which the container was throttled by its quota.
     */
    uint64_t cpu_throttled_periods;
    uint64_t cpu_throttled_ns;
    /**
     * Memory usage in bytes, including the page cache.
     */
    uint64_t memory_usage;
    uint64_t memory_limit;
    /**
     * Maximum memory usage in bytes (cgroup v2: Linux 5.19).
     */
    uint64_t memory_peak;
    /**
     * Swap usage in bytes, excluding memory.
     */
    uint64_t memory_swap_usage;
    uint64_t memory_swap_limit;
    /**
     * Number of the container's processes that the OOM killer has killed.
     */
    uint64_t oom_kills;
    /**
     * Number of tasks (threads).
     */
    uint64_t pids_current;
    uint64_t pids_limit;
    /**
     * Number of times that memory usage reached the limit.
     */
    uint64_t memory_limit_hits;
    /**
     * Anonymous memory in bytes.
     */
    uint64_t memory_anon;
    /**
     * Page cache in bytes.
     */
    uint64_t memory_file;
    /**
     * Page cache on the inactive list, in bytes. Working set = memory_usage - memory_inactive_file.
     */
    uint64_t memory_inactive_file;
    /**
     * Kernel memory in bytes.
     */
    uint64_t memory_kernel;
    uint64_t page_faults;
    /**
     * Page faults that needed disk I/O.
     */
    uint64_t page_faults_major;
    /**
     * Sums over all block devices.
     */
    uint64_t io_read_bytes;
    uint64_t io_write_bytes;
    uint64_t io_reads;
    uint64_t io_writes;
    /**
     * Time in nanoseconds in which at least one task (some) or all tasks (full) were stalled on a resource (PSI).
     */
    uint64_t cpu_pressure_some_ns;
    uint64_t cpu_pressure_full_ns;
    uint64_t memory_pressure_some_ns;
    uint64_t memory_pressure_full_ns;
    uint64_t io_pressure_some_ns;
    uint64_t io_pressure_full_ns;
} berth_stats;

/**
 * How a process ended, as in wait(2).
 */
typedef struct berth_exit_status {
    /**
     * A BERTH_EXIT_... constant.
     */
    int32_t kind;
    /**
     * The exit status, 0 to 255; else 0.
     */
    int32_t code;
    /**
     * The signal that ended it; else 0.
     */
    int32_t signal;
    /**
     * 1 if it left a core dump; else 0.
     */
    int32_t core_dumped;
} berth_exit_status;

/**
 * Options of a checkpoint. Initialise with berth_checkpoint_options_init, or with zeros and the size.
 */
typedef struct berth_checkpoint_options {
    /**
     * sizeof(berth_checkpoint_options).
     */
    size_t size;
    /**
     * Directory for the images; created if missing. Required.
     */
    const char *images;
    /**
     * Directory for CRIU's log and working files; created if missing. NULL: a directory in the container's state.
     */
    const char *work;
    /**
     * Images of the previous checkpoint or pre-dump, absolute or relative to `images`; NULL if there are none. Needs a
     * kernel with memory tracking (else BERTH_E_UNSUPPORTED).
     */
    const char *parent_images;
    /**
     * IP address of a `criu page-server` that receives the memory instead of `images`. With
     * BERTH_CHECKPOINT_LAZY_PAGES, the address of this host that serves it. NULL: none.
     */
    const char *page_server_address;
    /**
     * CRIU configuration file, which overrides all other options (criu(8), "configuration files"). NULL: none.
     */
    const char *config_file;
    /**
     * How long CRIU may take. 0: ten minutes.
     */
    int64_t timeout_ms;
    /**
     * BERTH_CHECKPOINT_... flags.
     */
    uint32_t flags;
    /**
     * A BERTH_CGROUP_MODE_... constant.
     */
    int32_t cgroup_mode;
    /**
     * With BERTH_CHECKPOINT_LAZY_PAGES: BERTH_STDIO_FD and a descriptor of the caller, to which a NUL byte is written
     * when pages can be requested. Zeros: none.
     */
    struct berth_stream status;
    /**
     * TCP port for page_server_address, 1 to 65535. 0: none.
     */
    int32_t page_server_port;
    /**
     * A BERTH_NETWORK_LOCK_... constant.
     */
    int32_t network_lock;
} berth_checkpoint_options;

/**
 * A veth pair that a restore creates: its name in the container, and the name of its other end on the host.
 */
typedef struct berth_veth_pair {
    const char *name;
    const char *host_name;
} berth_veth_pair;

/**
 * A cgroup that becomes the root of the images' cgroup tree. `controller` is a v1 controller, "name=..." for a named
 * hierarchy, or "" for the v2 hierarchy; `path` is a cgroup as in /proc/PID/cgroup, which must be the container's
 * own or below it.
 */
typedef struct berth_cgroup_root {
    const char *controller;
    const char *path;
} berth_cgroup_root;

/**
 * Options of a restore. Initialise with berth_restore_options_init, or with zeros and the size.
 */
typedef struct berth_restore_options {
    /**
     * sizeof(berth_restore_options).
     */
    size_t size;
    /**
     * Directory with the images. Required.
     */
    const char *images;
    /**
     * As in berth_checkpoint_options.
     */
    const char *work;
    /**
     * Standard streams that replace dumped pipes, and the recipient of the terminal's master. A stream that was not a
     * pipe is restored as it was and must be left at its default here. extra_fds must be empty. NULL: the default.
     */
    const struct berth_process_options *process;
    /**
     * `veth_pair_count` pairs, in addition to those of the configuration's networks. NULL if there are none.
     */
    const struct berth_veth_pair *veth_pairs;
    size_t veth_pair_count;
    /**
     * `cgroup_root_count` roots, instead of the container's own cgroups. NULL if there are none.
     */
    const struct berth_cgroup_root *cgroup_roots;
    size_t cgroup_root_count;
    /**
     * Security label that replaces the dumped one: "apparmor:NAME" or "selinux:LABEL". NULL: the dumped one.
     */
    const char *lsm_profile;
    /**
     * SELinux label for the restored mounts. NULL: none.
     */
    const char *lsm_mount_context;
    /**
     * As in berth_checkpoint_options.
     */
    const char *config_file;
    /**
     * How long CRIU may take. 0: ten minutes.
     */
    int64_t timeout_ms;
    /**
     * BERTH_RESTORE_... flags.
     */
    uint32_t flags;
    /**
     * A BERTH_CGROUP_MODE_... constant.
     */
    int32_t cgroup_mode;
} berth_restore_options;

/**
 * What has happened since the previous read.
 */
typedef struct berth_occurred {
    /**
     * Number of events.
     */
    uint64_t count;
    /**
     * 1 if the container's init has ended: no more events follow, and the descriptor stays readable. Else 0.
     */
    int32_t ended;
    /**
     * Always 0.
     */
    int32_t reserved;
} berth_occurred;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Return the library's version ("0.1.0"). The string is valid for ever.
 */
const char *berth_version(void);

/**
 * Return the version of the library's ABI. If it is not less than the BERTH_ABI_VERSION that a program was compiled
 * with, the library has every function and constant that the program knows.
 */
uint32_t berth_abi_version(void);

/**
 * Check whether the library has a feature. Returns 1 or 0; 0 for unknown names and NULL. The host's kernel may still
 * lack what the feature needs; the calls report that.
 *
 * Known names: "create", "start", "run", "exec", "load", "list", "delete", "recover", "signal", "pause", "set", "stats",
 * "events", "checkpoint", "wait", "pidfd", "hooks", "terminal", "console-socket", "extra-fds", "explain", "features",
 * "log", "seccomp", "apparmor", "selinux", "networks", "net-devices", "interfaces", "cgroup-v1", "cgroup-v2",
 * "systemd", and the namespaces: "namespace-cgroup", "namespace-ipc", "namespace-mount", "namespace-network",
 * "namespace-pid", "namespace-time", "namespace-user", "namespace-uts".
 */
int32_t berth_has_feature(const char *name);

/**
 * Return the features document of the OCI runtime specification (features.md): the versions, hooks, mount options,
 * namespaces, capabilities and so on that berth_config_from_json accepts. It describes this library;
 * berth_container_create fails where the kernel lacks a feature.
 *
 * Release `json` with berth_string_free. Makes no system call. Errors: BERTH_E_INVALID_ARGUMENT.
 */
int32_t berth_features_json(char **json,
                            struct berth_error **error);

/**
 * Send the log to a callback; NULL disables it. Until a berth_log_set_... function is called the library does not log.
 * Errors are always returned by the calls themselves; no program needs the log to work.
 *
 * The library calls the callback from any thread that is inside one of its calls, at most once at a time per thread:
 * lines logged by the callback's own thread while it runs are dropped. The callback should return soon, must not
 * unwind or longjmp, and must not call berth_log_set_callback or berth_log_set_fd (BERTH_E_BUSY). When this function
 * returns, no thread is in the previous callback and none will be: its userdata may be freed.
 *
 * Replaces a descriptor that was set before. Blocks while another thread is in the previous callback.
 *
 * Errors: BERTH_E_UNSUPPORTED if the program is written in Rust and has installed a logger of its own, BERTH_E_BUSY.
 */
int32_t berth_log_set_callback(berth_log_callback callback,
                               void *userdata,
                               struct berth_error **error);

/**
 * Send the log to a descriptor, which is duplicated; -1 disables it. Each line is a JSON object with the members
 * "time" (RFC 3339), "level" ("error", "warn", "info", "debug", "trace"), "target" and "msg", written with one
 * write(2).
 *
 * Logging never blocks a call or makes it fail: a line that a full pipe or socket cannot take at once is dropped, and
 * so is every line once the reader is gone, without SIGPIPE.
 *
 * Replaces a callback that was set before. Blocks while another thread is in it.
 *
 * Errors: as berth_log_set_callback; BERTH_E_INVALID_ARGUMENT if `fd` is not an open descriptor.
 */
int32_t berth_log_set_fd(int32_t fd,
                         struct berth_error **error);

/**
 * Set the most detailed level that is logged, a BERTH_LOG_LEVEL_... constant. The default is BERTH_LOG_LEVEL_DEBUG.
 * May be called at any time from any thread, but not from inside the log callback (BERTH_E_BUSY).
 *
 * BERTH_LOG_LEVEL_TRACE is for profiling: each call logs when it passes a stage. Such a line has the target
 * "berth::point" and consists of the stage's name ("create.cgroups"), a space, and the nanoseconds of CLOCK_MONOTONIC
 * (clock_gettime(2)). The names may change between versions.
 *
 * Errors: BERTH_E_INVALID_ARGUMENT if the level is not one of the constants, BERTH_E_BUSY.
 */
int32_t berth_log_set_level(int32_t level,
                            struct berth_error **error);

/**
 * Release a string that a function of this library has returned. NULL is ignored.
 */
void berth_string_free(char *string);

/**
 * Return the error's BERTH_E_... code; 0 for NULL.
 */
int32_t berth_error_code(const struct berth_error *error);

/**
 * Return the errno(3) of the failed system call; 0 if there was none, and for NULL.
 */
int32_t berth_error_errno(const struct berth_error *error);

/**
 * Return the stage that failed, a BERTH_STAGE_... constant; BERTH_STAGE_HOST for NULL.
 */
int32_t berth_error_stage(const struct berth_error *error);

/**
 * Return the message: one sentence without a newline that names the object and the reason. It is for people and may
 * change between versions. Valid as long as the error; an empty string for NULL.
 */
const char *berth_error_message(const struct berth_error *error);

/**
 * Return details as a JSON object. Its members depend on the failure, among them: "parameter" (the invalid argument),
 * "json_path" (the invalid field of the configuration), "step" (the step of init that failed), "hook" and
 * "hook_index", "output" (the end of a hook's output), "id" and "status" (of a container in the wrong state),
 * "cleanup" (what a failed call could not remove). Valid as long as the error; "{}" for NULL.
 */
const char *berth_error_detail_json(const struct berth_error *error);

/**
 * Release an error. NULL is ignored.
 */
void berth_error_free(struct berth_error *error);

/**
 * Describe an error code, as strerror(3) does for errno. 0 is "success". Never returns NULL, also not for a code that
 * this version does not know; the string is valid for ever.
 */
const char *berth_strerror(int32_t code);

/**
 * Return the name of an error code ("BERTH_E_NOT_FOUND"), for logs. 0 is "success", a code that this version does not know
 * "unknown". The string is valid for ever.
 */
const char *berth_error_name(int32_t code);

/**
 * Initialise options with the defaults: zeros, and the size. `size` is sizeof(berth_runtime_options); nothing beyond
 * it is written. NULL is ignored.
 */
void berth_runtime_options_init(struct berth_runtime_options *options,
                                size_t size);

/**
 * Open a runtime. `options` is optional: NULL selects the defaults. Several runtimes, also of several processes, may
 * share one state root. Creates the state root if it is missing and changes nothing else; existing containers can be
 * loaded.
 *
 * Errors: BERTH_E_SYSTEM with EACCES if the state root belongs to another user or others may write to it;
 * BERTH_E_UNSUPPORTED if the options have a member that this version does not know.
 */
int32_t berth_runtime_new(const struct berth_runtime_options *options,
                          struct berth_runtime **runtime,
                          struct berth_error **error);

/**
 * Release a runtime. Its containers and their handles are not affected. NULL is ignored.
 */
void berth_runtime_free(struct berth_runtime *runtime);

/**
 * List the states of all containers of the state root, sorted by id, as a JSON array of objects as
 * berth_container_state_json returns them. Omits containers that are deleted in the meantime. A container whose record is
 * damaged has the status "unknown", and "error" says why; berth_container_delete with BERTH_DELETE_FORCE removes it. Other
 * files and directories in the state root are ignored.
 *
 * Release `json` with berth_string_free. Waits for no lock.
 */
int32_t berth_runtime_list_json(const struct berth_runtime *runtime,
                                char **json,
                                struct berth_error **error);

/**
 * List every step of berth_container_create with this runtime, configuration and options, without executing one: the same
 * steps, in the same number and order. The JSON is that of berth_config_explain_json, which assumes default options.
 *
 * `options` is optional. Release `json` with berth_string_free. Errors: as berth_config_validate; BERTH_E_CONSOLE_EXISTS
 * and BERTH_E_INVALID_ARGUMENT as berth_container_create.
 */
int32_t berth_runtime_explain_json(const struct berth_runtime *runtime,
                                   const struct berth_config *config,
                                   const struct berth_process_options *options,
                                   char **json,
                                   struct berth_error **error);

/**
 * Remove containers whose creating or deleting process was killed: their processes, cgroups and state. Complete
 * containers, and those that another process is creating or deleting, stay. Call it when a supervisor starts;
 * berth_container_delete with BERTH_DELETE_FORCE does the same for one id.
 *
 * `ids_json` is optional; it receives the removed ids as a JSON array of strings. Release it with berth_string_free.
 *
 * Blocks until they are removed, at most the cgroup timeout for each. A container whose record is damaged stays, with a
 * warning in the log: berth_runtime_list_json names it. Errors: BERTH_E_TIMEOUT if a process could not be killed in time;
 * the other containers are removed nevertheless, and "recovered" in the details has their ids.
 */
int32_t berth_runtime_recover(const struct berth_runtime *runtime,
                              char **ids_json,
                              struct berth_error **error);

/**
 * Read config.json from the directory `bundle` (OCI "Filesystem Bundle"). Relative paths in it are relative to the
 * bundle.
 *
 * The document is validated as by berth_config_from_json. Errors: BERTH_E_CONFIG_INVALID, BERTH_E_UNSUPPORTED;
 * BERTH_E_SYSTEM with ENOENT if the file does not exist.
 */
int32_t berth_config_from_bundle(const char *bundle,
                                 struct berth_config **config,
                                 struct berth_error **error);

/**
 * Read the file `file` instead of config.json, with the directory `bundle`. Otherwise as berth_config_from_bundle.
 */
int32_t berth_config_from_file(const char *bundle,
                               const char *file,
                               struct berth_config **config,
                               struct berth_error **error);

/**
 * Parse the text of a configuration (OCI "Configuration"). `rootfs` is optional: a directory to use instead of
 * root.path. Paths in the text must be absolute, since there is no bundle.
 *
 * The text is checked at once and in full, without a look at the host: types, bounds, names, contradictions. Errors:
 * BERTH_E_CONFIG_INVALID if something is wrong, BERTH_E_UNSUPPORTED if it asks for something that this version
 * does not do (nothing is silently ignored); the message begins with the JSON path of the field, like
 * "linux.resources.pids.limit", which is "json_path" in berth_error_detail_json, too.
 */
int32_t berth_config_from_json(const char *json,
                               const char *rootfs,
                               struct berth_config **config,
                               struct berth_error **error);

/**
 * Return a default configuration, the one that `runc spec` writes: a shell on a terminal, in new namespaces, with a
 * read-only root filesystem at "rootfs". Release `json` with berth_string_free.
 */
int32_t berth_config_default_json(char **json,
                                  struct berth_error **error);

/**
 * Return a default configuration for an unprivileged caller, as `runc spec --rootless` writes it: a user namespace
 * whose root is `uid` and `gid` of the host, the host's network, and no limits. Release `json` with berth_string_free.
 */
int32_t berth_config_default_rootless_json(uint32_t uid,
                                           uint32_t gid,
                                           char **json,
                                           struct berth_error **error);

/**
 * Copy a configuration and set its networks and routes, which config.json cannot express; they replace those that
 * `config` may have. `networks_json` is an object with the arrays "networks" (of type "loopback" or "veth") and
 * "routes"; docs/networks.md describes the members. It is validated completely, without accessing the host. A
 * configuration with a fixed address or host interface name can be used for one container at a time.
 *
 * Release `with_networks` with berth_config_free; `config` stays valid and must be released, too. berth_config_to_json
 * does not include the networks. Errors: BERTH_E_CONFIG_INVALID with the JSON path in `networks_json`, like
 * "networks[0].address"; unknown members are refused.
 */
int32_t berth_config_with_networks(const struct berth_config *config,
                                   const char *networks_json,
                                   struct berth_config **with_networks,
                                   struct berth_error **error);

/**
 * Check what the configuration refers to on the host: the root filesystem, namespaces to join, the first hook, sources of
 * bind mounts, bridges, devices to move, names of interfaces. Changes nothing. berth_container_create makes the same checks
 * first.
 *
 * Errors: BERTH_E_CONFIG_INVALID, BERTH_E_UNSUPPORTED, with the JSON path as berth_config_from_json.
 */
int32_t berth_config_validate(const struct berth_config *config,
                              struct berth_error **error);

/**
 * Return what berth_container_create does on this host, as a JSON object: the array "steps" has the steps of the
 * container's init in order, "user_namespaces" the user namespaces that the caller creates for id-mapped mounts, and
 * "outside" what the caller does to init during setup (limits, scheduling …). Creates nothing. For people and for
 * comparison: names of steps may change between versions.
 *
 * Release `json` with berth_string_free. Errors: as berth_config_validate.
 */
int32_t berth_config_explain_json(const struct berth_config *config,
                                  char **json,
                                  struct berth_error **error);

/**
 * Return the text that the configuration was made from. Release `json` with berth_string_free.
 */
int32_t berth_config_to_json(const struct berth_config *config,
                             char **json,
                             struct berth_error **error);

/**
 * Release a configuration. Containers created from it do not need it. NULL is ignored.
 */
void berth_config_free(struct berth_config *config);

/**
 * Initialise options with the defaults: zeros, and the size. `size` is sizeof(berth_process_options); nothing beyond
 * it is written. NULL is ignored.
 */
void berth_process_options_init(struct berth_process_options *options,
                                size_t size);

/**
 * Create a container (OCI "create"): set up namespaces, cgroups, root filesystem and hooks. Init then waits for
 * berth_container_start. The status is BERTH_STATUS_CREATED.
 *
 * `id`: 1 to 200 letters, digits and any of "_+-.", the first one not "+", "-" or "."; unique in the state root.
 * `options` is optional; the streams and the terminal that it asks for belong to berth_container_init_process. Release
 * `container` with berth_container_free. Init is a child of the caller.
 *
 * Blocks until setup is complete: at most the setup timeout, plus the time of the hooks. After an error nothing is
 * left behind.
 *
 * Errors: BERTH_E_ID_INVALID, BERTH_E_ID_IN_USE; BERTH_E_CONFIG_INVALID and BERTH_E_UNSUPPORTED as berth_config_validate,
 * before anything is created; BERTH_E_CONSOLE_EXISTS if `options` ask for streams although the process has a terminal;
 * BERTH_E_HOOK; BERTH_E_TIMEOUT; BERTH_E_SYSTEM, at BERTH_STAGE_INIT with the step that failed inside the container.
 */
int32_t berth_container_create(const struct berth_runtime *runtime,
                               const char *id,
                               const struct berth_config *config,
                               const struct berth_process_options *options,
                               struct berth_container **container,
                               struct berth_error **error);

/**
 * Create and start a container: berth_container_create and berth_container_start in one call. After an error nothing
 * is left behind. Errors: as both.
 */
int32_t berth_container_run(const struct berth_runtime *runtime,
                            const char *id,
                            const struct berth_config *config,
                            const struct berth_process_options *options,
                            struct berth_container **container,
                            struct berth_error **error);

/**
 * Open an existing container, created by this or another process. Release `container` with berth_container_free.
 *
 * Errors: BERTH_E_NOT_FOUND, BERTH_E_ID_INVALID.
 */
int32_t berth_container_load(const struct berth_runtime *runtime,
                             const char *id,
                             struct berth_container **container,
                             struct berth_error **error);

/**
 * Release a handle. The container is not affected. NULL is ignored.
 */
void berth_container_free(struct berth_container *container);

/**
 * Start a created container (OCI "start"). Returns when its program runs. Any process may call it, not only the
 * creator.
 *
 * Blocks for the time of the startContainer and poststart hooks. If the program cannot be executed, the error says
 * why, and the container is stopped. If a startContainer or poststart hook fails, the container is deleted, and its
 * poststop hooks run (OCI runtime specification, "Lifecycle"); the handle stays valid and returns BERTH_E_NOT_FOUND.
 *
 * Errors: BERTH_E_ALREADY_RUNNING, BERTH_E_PAUSED, BERTH_E_NOT_RUNNING if it is stopped; BERTH_E_NOT_FOUND if it was
 * deleted; BERTH_E_HOOK; BERTH_E_TIMEOUT; BERTH_E_BUSY.
 */
int32_t berth_container_start(const struct berth_container *container,
                              struct berth_error **error);

/**
 * Execute another process in the container. Returns when its program runs. `process_json` is an OCI "process" object,
 * validated like that of a configuration; capabilities and other security settings that it omits are the container's
 * own. `options` is optional. Release `process` with berth_process_free; it is a child of the caller.
 *
 * The container must be running or created. Blocks at most the setup timeout.
 *
 * Errors: BERTH_E_NOT_RUNNING, BERTH_E_PAUSED, BERTH_E_NOT_FOUND; BERTH_E_CONFIG_INVALID and BERTH_E_UNSUPPORTED with
 * the JSON path in `process_json` ("args[0]"); BERTH_E_CONSOLE_EXISTS; BERTH_E_TIMEOUT; BERTH_E_SYSTEM at BERTH_STAGE_INIT
 * with ENOENT if there is no such program.
 */
int32_t berth_container_exec(const struct berth_container *container,
                             const char *process_json,
                             const struct berth_process_options *options,
                             struct berth_process **process,
                             struct berth_error **error);

/**
 * Send a signal to the container's init, or with BERTH_SIGNAL_ALL in `flags` to all its processes. A paused container
 * handles SIGKILL at once and other signals when it is resumed.
 *
 * Blocks only with BERTH_SIGNAL_ALL: for SIGKILL until the processes are gone, for other signals until every process
 * has received it; at most the cgroup timeout.
 *
 * Errors: BERTH_E_NOT_RUNNING if init has ended, BERTH_E_NOT_FOUND, BERTH_E_TIMEOUT; BERTH_E_BUSY with
 * BERTH_SIGNAL_ALL.
 */
int32_t berth_container_signal(const struct berth_container *container,
                               int32_t signal,
                               uint32_t flags,
                               struct berth_error **error);

/**
 * Freeze all processes of a running or created container (cgroups(7), freezer). Returns when the kernel reports that
 * they are frozen. Blocks at most the cgroup timeout; if they cannot be frozen by then, they keep running.
 *
 * Errors: BERTH_E_PAUSED if it is already, BERTH_E_NOT_RUNNING, BERTH_E_NOT_FOUND, BERTH_E_TIMEOUT, BERTH_E_BUSY.
 */
int32_t berth_container_pause(const struct berth_container *container,
                              struct berth_error **error);

/**
 * Resume a paused container. Blocks as berth_container_pause.
 *
 * Errors: BERTH_E_NOT_PAUSED, BERTH_E_NOT_FOUND, BERTH_E_TIMEOUT, BERTH_E_BUSY.
 */
int32_t berth_container_resume(const struct berth_container *container, struct berth_error **error);

/**
 * Update the limits of a running, created or paused container. `resources_json` is an OCI "linux.resources" object.
 * Its members replace the current ones, one by one and lists as a whole; members that it omits do not change,
 * including device rules. The result is saved: berth_container_config_json returns it, and later updates start from
 * it.
 *
 * In addition to the members of "linux.resources" it may have "intelRdt" with "l3CacheSchema", "memBwSchema" and
 * "schemata" of "linux.intelRdt", for a container whose configuration has that.
 *
 * If any step fails, the previous values are written back and nothing is saved. If the kernel refuses that, "restored"
 * in berth_error_detail_json is false, and the message says which values could not be restored.
 *
 * Errors: BERTH_E_CONFIG_INVALID with the field's JSON path in the configuration ("linux.resources.memory.limit"),
 * before anything was changed; BERTH_E_UNSUPPORTED if the host has no such limit; BERTH_E_SYSTEM if the kernel rejects
 * a value, with the field, the file, the value and the reason; BERTH_E_NOT_RUNNING, BERTH_E_NOT_FOUND, BERTH_E_BUSY.
 */
int32_t berth_container_set(const struct berth_container *container,
                            const char *resources_json,
                            struct berth_error **error);

/**
 * Delete a stopped container (OCI "delete"): remove remaining processes, cgroups and state, then run its poststop
 * hooks (a failing one is only logged). With BERTH_DELETE_FORCE in `flags`, kill a container in any state first; this
 * also removes what a killed creator left behind. Afterwards the id can be used again. Handles stay valid; their calls
 * fail with BERTH_E_NOT_FOUND. A handle keeps an exit status that it has read.
 *
 * Blocks until everything is removed: at most twice the cgroup timeout, plus the time of the hooks. After an error it
 * can be called again.
 *
 * Errors: BERTH_E_NOT_STOPPED, BERTH_E_NOT_FOUND, BERTH_E_TIMEOUT if a process could not be killed, BERTH_E_BUSY.
 */
int32_t berth_container_delete(const struct berth_container *container,
                               uint32_t flags,
                               struct berth_error **error);

/**
 * Return the container's id. Valid as long as the handle; NULL for NULL.
 */
const char *berth_container_id(const struct berth_container *container);

/**
 * Return the container's current status, a BERTH_STATUS_... constant. It is computed from the kernel's state on every
 * call, because other processes may have changed it.
 *
 * Errors: BERTH_E_NOT_FOUND if it was deleted.
 */
int32_t berth_container_status(const struct berth_container *container,
                               int32_t *status,
                               struct berth_error **error);

/**
 * Return the name of a status as the OCI runtime specification spells it ("running"), or "unknown". The string is valid for
 * ever.
 */
const char *berth_status_name(int32_t status);

/**
 * Return the container's state as JSON: OCI "State" (ociVersion, id, status, pid, bundle, annotations) with the
 * additional members rootfs, created, initProcessStartTime, cgroupPaths, namespacePaths and externalDescriptors. The
 * status may also be "paused".
 *
 * Release `json` with berth_string_free. Errors: BERTH_E_NOT_FOUND.
 */
int32_t berth_container_state_json(const struct berth_container *container,
                                   char **json,
                                   struct berth_error **error);

/**
 * Return the configuration that the container was created from, as it was given, with the limits that
 * berth_container_set has changed. Release `json` with berth_string_free.
 *
 * Errors: BERTH_E_NOT_FOUND.
 */
int32_t berth_container_config_json(const struct berth_container *container,
                                    char **json,
                                    struct berth_error **error);

/**
 * Return the ids of all processes in the container's cgroups, in the caller's pid namespace and in ascending order.
 * `pids` receives an array of `count` numbers, or NULL if there are none. Release it with berth_pids_free.
 *
 * Errors: BERTH_E_NOT_FOUND, BERTH_E_NOT_RUNNING.
 */
int32_t berth_container_pids(const struct berth_container *container,
                             int32_t **pids,
                             size_t *count,
                             struct berth_error **error);

/**
 * Release an array that berth_container_pids has returned. NULL is ignored.
 */
void berth_pids_free(int32_t *pids);

/**
 * Read the container's resource usage (cgroups(7)). Set stats->size before the call. Members that only a newer header
 * than the library has are set to UINT64_MAX.
 *
 * Designed for frequent calls: the first call opens the files that are read (up to 25 descriptors, closed with the
 * handle); later calls read them again, without allocating memory and without accessing the state directory. All
 * handles together keep at most a quarter of RLIMIT_NOFILE open; further handles open the files on each call.
 *
 * The counters (CPU time, peak of the memory, OOM kills …) stay after the container's processes have ended, until it is
 * deleted: then they are the totals of a job.
 *
 * Errors: BERTH_E_NOT_FOUND; BERTH_E_NOT_RUNNING if the container was not created completely, or if somebody else has
 * removed its cgroups.
 */
int32_t berth_container_stats(const struct berth_container *container,
                              struct berth_stats *stats,
                              struct berth_error **error);

/**
 * Return all statistics of the container as JSON, in the format of "data" in runc's "events --stats": "cpu" (with
 * times of each CPU on cgroup v1, and pressure), "cpuset", "memory" (with all of memory.stat as "raw", and
 * "event_count"), "pids", "blkio", "hugetlb", "intel_rdt" (empty without linux.intelRdt), "network_interfaces" (each
 * interface of the container's network namespace as its processes see it; none if it has the host's), and, in addition
 * to runc's, "rdma". Members that runc omits when they are 0 are omitted.
 *
 * Release `json` with berth_string_free. Errors: as berth_container_stats.
 */
int32_t berth_container_stats_json(const struct berth_container *container,
                                   char **json,
                                   struct berth_error **error);

/**
 * Wait until the container's init has ended and return how: as berth_process_wait for init, with the same parameters
 * and errors. A handle that has seen init end returns its status also after the container was deleted.
 */
int32_t berth_container_wait(const struct berth_container *container,
                             int64_t timeout_ms,
                             struct berth_exit_status *status,
                             struct berth_error **error);

/**
 * Return a pidfd of the container's init, as berth_process_pidfd: for poll(2), it becomes readable when init has
 * ended.
 *
 * The init of a pid namespace cannot end while the namespace contains a zombie. Exec'd processes are zombies until
 * their status is read, by berth_process_wait or by any call on the container. So a caller that only polls this
 * descriptor should wait for the processes that it has executed, too.
 *
 * Errors: BERTH_E_NOT_RUNNING if init has ended and this handle has not seen it; BERTH_E_NOT_FOUND.
 */
int32_t berth_container_pidfd(const struct berth_container *container,
                              int32_t *fd,
                              struct berth_error **error);

/**
 * Return a process handle of the container's init, for its pipes and terminal, which belong to the handle that created
 * the container. Release `process` with berth_process_free.
 *
 * Errors: as berth_container_pidfd.
 */
int32_t berth_container_init_process(const struct berth_container *container,
                                     struct berth_process **process,
                                     struct berth_error **error);

/**
 * Return the counters of a container's networks as JSON: the array "networks" has an object for each veth pair that
 * berth_config_with_networks has configured and that still exists, with name, hostInterfaceName, bridge, and the
 * counters receivedBytes, receivedPackets, receivedErrors, receivedDropped, sentBytes, sentPackets, sentErrors,
 * sentDropped. Received means received by the container. With BERTH_INTERFACES_INSIDE in `flags` the array
 * "interfaces" has every interface of the container's network namespace, with name, up, mtu, macAddress and the same
 * counters.
 *
 * Release `json` with berth_string_free. Blocks while the kernel answers; with BERTH_INTERFACES_INSIDE it starts a
 * helper process, which ends before the call returns. The counters are those of rtnetlink(7), IFLA_STATS64.
 *
 * Errors: BERTH_E_NOT_FOUND if it was deleted; with BERTH_INTERFACES_INSIDE, BERTH_E_NOT_RUNNING if it is stopped.
 */
int32_t berth_container_interfaces_json(const struct berth_container *container,
                                        uint32_t flags,
                                        char **json,
                                        struct berth_error **error);

/**
 * Initialise options with the defaults: zeros, and the size. `size` is sizeof(berth_checkpoint_options); nothing
 * beyond it is written. NULL is ignored.
 */
void berth_checkpoint_options_init(struct berth_checkpoint_options *options,
                                   size_t size);

/**
 * Initialise options with the defaults: zeros, and the size. `size` is sizeof(berth_restore_options); nothing beyond
 * it is written. NULL is ignored.
 */
void berth_restore_options_init(struct berth_restore_options *options,
                                size_t size);

/**
 * Return what CRIU supports on this host, as a JSON object: "path", "version" ("4.1.1"), "usable" (whether libberth
 * supports that version), "kernel" ("supported", and in "says" the lines of CRIU's own check, criu(8) "check"), and
 * "features" ("memoryTracking", "lazyPages", "pidfdStore").
 *
 * Release `json` with berth_string_free. Starts CRIU and blocks until it has answered, at most a minute. Changes
 * nothing.
 *
 * Errors: BERTH_E_UNSUPPORTED with ENOENT if there is no CRIU; BERTH_E_CRIU if the program does not behave as CRIU;
 * BERTH_E_TIMEOUT.
 */
int32_t berth_criu_check(const struct berth_runtime *runtime,
                         char **json,
                         struct berth_error **error);

/**
 * Dump the processes of a running or paused container into images, from which berth_container_restore recreates them,
 * here or on another host. Afterwards the container is stopped (berth_container_delete removes it), unless `options`
 * leave it running.
 *
 * The image format is criu(8)'s, with an additional "descriptors.json": a JSON array of what the standard streams
 * were. It is written last: a directory without it holds no checkpoint. docs/checkpoint.md lists what cannot be
 * dumped, and remedies.
 *
 * Blocks until CRIU is done, at most the timeout of the options; other calls that change the container wait. The
 * container's networks are detached from their bridges while its processes are stopped.
 *
 * After an error the container continues, or stays paused, as before; a directory that was created for the images is
 * removed.
 *
 * Errors: BERTH_E_CRIU with CRIU's errno, its first errors and a remedy in the message, and in berth_error_detail_json
 * "log", the end of its log, and "log_file", its path; BERTH_E_TIMEOUT, after which CRIU was killed;
 * BERTH_E_UNSUPPORTED if there is no CRIU, the kernel lacks what the options need, the configuration has a namespace
 * that cannot be dumped, or the container has a process that does not descend from its init; BERTH_E_NOT_RUNNING,
 * BERTH_E_NOT_FOUND, BERTH_E_BUSY.
 */
int32_t berth_container_checkpoint(const struct berth_container *container,
                                   const struct berth_checkpoint_options *options,
                                   struct berth_error **error);

/**
 * Restore a container from the images of a checkpoint. Its processes continue where they were.
 *
 * `id` must be free: delete a stopped container of the same id first (berth_container_delete). Namespaces, mounts,
 * cgroups, limits, networks and hooks come from `config`, not from the images; it must be the dumped container's
 * configuration, except for host paths. `options` are required: they name the images.
 *
 * CRIU processes images as root: restore only images from sources that you would allow to run the container. Whatever
 * exceeds the configuration (namespaces, cgroups, capabilities, new privileges) is an error before anything runs.
 *
 * Runs the prestart and createRuntime hooks when the namespaces exist, and no other hooks. Blocks until the processes
 * run, at most the timeout of the options plus the time of the hooks. After an error nothing is left behind.
 *
 * Errors: as berth_container_create and berth_container_checkpoint; BERTH_E_INVALID_ARGUMENT if a stream that was not
 * a pipe is to be replaced; BERTH_E_SYSTEM with ENOENT if the directory holds no checkpoint.
 */
int32_t berth_container_restore(const struct berth_runtime *runtime,
                                const char *id,
                                const struct berth_config *config,
                                const struct berth_restore_options *options,
                                struct berth_container **container,
                                struct berth_error **error);

/**
 * Return the process's id in the caller's pid namespace. After the process has ended and was waited for, the number
 * may be reused; a pidfd is not affected.
 */
int32_t berth_process_pid(const struct berth_process *process,
                          int32_t *pid,
                          struct berth_error **error);

/**
 * Return a pidfd of the process (pidfd_open(2)), for the caller's poll(2) or epoll(7): it becomes readable when the
 * process has ended. The caller closes `fd`. Read the status with berth_process_wait, not with waitid(2).
 */
int32_t berth_process_pidfd(const struct berth_process *process,
                            int32_t *fd,
                            struct berth_error **error);

/**
 * Wait until the process has ended and return how. May be called repeatedly, and by several threads at once.
 *
 * `status` is optional. Blocks up to `timeout_ms` without holding a lock, so every other call works in the meantime.
 *
 * Waits only for this process, never for another child of the caller; a SIGCHLD handler is neither needed nor
 * affected. If the caller's own waitpid(-1) has consumed the status, or the process is another process's child, the
 * kernel is asked for it (PIDFD_GET_INFO, Linux 6.15).
 *
 * Errors: BERTH_E_TIMEOUT if it has not ended yet; BERTH_E_STATUS_UNKNOWN if it has ended and its status is not
 * available.
 */
int32_t berth_process_wait(const struct berth_process *process,
                           int64_t timeout_ms,
                           struct berth_exit_status *status,
                           struct berth_error **error);

/**
 * Send a signal to the process (pidfd_send_signal(2)); 0 only checks whether it exists. Never signals another process
 * that has got the same id.
 *
 * Errors: BERTH_E_NOT_RUNNING if the process has ended, BERTH_E_INVALID_ARGUMENT if there is no such signal.
 */
int32_t berth_process_signal(const struct berth_process *process,
                             int32_t signal,
                             struct berth_error **error);

/**
 * Take the caller's ends of the pipes of BERTH_STDIO_PIPE: fds[0] writes to the process's standard input, fds[1] and
 * fds[2] read its output and error; -1 where there is none. Each end is returned once, for the caller to close; a
 * second call returns -1. Ends that are not taken are closed with the last handle of the process.
 *
 * The ends are blocking; writing to a process that has closed its input raises SIGPIPE (pipe(7)).
 *
 */
int32_t berth_process_take_stdio(const struct berth_process *process,
                                 int32_t fds[3],
                                 struct berth_error **error);

/**
 * Return the master of the process's terminal (pty(7)), to read and write; -1 if the process has none, if it was sent
 * to a console socket, or if this handle did not start the process. The caller closes `fd`; each call returns a new
 * one.
 */
int32_t berth_process_terminal(const struct berth_process *process,
                               int32_t *fd,
                               struct berth_error **error);

/**
 * Set the size of the process's terminal, in characters; its foreground processes receive SIGWINCH
 * (TIOCSWINSZ(2const)).
 *
 * Errors: BERTH_E_INVALID_ARGUMENT if this handle has no terminal (see berth_process_terminal). The receiver of a
 * console socket resizes the terminal itself.
 */
int32_t berth_process_resize_terminal(const struct berth_process *process,
                                      uint16_t rows,
                                      uint16_t columns,
                                      struct berth_error **error);

/**
 * Release a process handle, and the pipes and the terminal that were not taken. The process keeps running. A process
 * that was not waited for stays a zombie of the caller until a later call on its container, or the caller's end. NULL
 * is ignored.
 */
void berth_process_free(struct berth_process *process);

/**
 * Subscribe to out-of-memory events. On cgroup v2 an event is a process that the OOM killer kills in the container or
 * in cgroups below it (memory.events, "oom_kill"). On v1 it is an out-of-memory condition of the container's limit or
 * of one above it (cgroup.event_control with memory.oom_control), also if the OOM killer is disabled.
 *
 * Release `event` with berth_event_free. Only events after this call count.
 *
 * Errors: BERTH_E_UNSUPPORTED if there is no memory controller, BERTH_E_NOT_RUNNING, BERTH_E_NOT_FOUND.
 */
int32_t berth_container_notify_oom(const struct berth_container *container,
                                   struct berth_event **event,
                                   struct berth_error **error);

/**
 * Subscribe to memory pressure of `level`, a BERTH_PRESSURE_... constant. Levels are independent: subscribe to each
 * that you need.
 *
 * On cgroup v2, by pressure stall information: BERTH_PRESSURE_LOW when some process has waited for memory for 30 ms within
 * one second, BERTH_PRESSURE_MEDIUM for 100 ms, and BERTH_PRESSURE_CRITICAL when all processes at once have waited for
 * 100 ms; counted at most once a second (for callers without CAP_SYS_RESOURCE: twice these times within two seconds). On v1, the kernel's own levels (memory.pressure_level), which come from how much
 * of what is scanned can be reclaimed.
 *
 * Errors: as berth_container_notify_oom; BERTH_E_INVALID_ARGUMENT for an unknown level; BERTH_E_UNSUPPORTED if the
 * kernel does not measure pressure.
 */
int32_t berth_container_notify_memory_pressure(const struct berth_container *container,
                                               int32_t level,
                                               struct berth_event **event,
                                               struct berth_error **error);

/**
 * Return a descriptor for the caller's poll(2) or epoll(7): it becomes readable when berth_event_read may return an
 * event, and when the container's init has ended. It may be readable although there is no event. Do not read from it.
 * The caller closes `fd`, before or after berth_event_free.
 */
int32_t berth_event_fd(const struct berth_event *event,
                       int32_t *fd,
                       struct berth_error **error);

/**
 * Read the events since the previous call. Blocks up to `timeout_ms` until there is one. If several threads call it,
 * each event goes to one of them. When the container's init ends, the last events are returned with or before "ended".
 *
 * Errors: BERTH_E_TIMEOUT if nothing has happened.
 */
int32_t berth_event_read(const struct berth_event *event,
                         int64_t timeout_ms,
                         struct berth_occurred *occurred,
                         struct berth_error **error);

/**
 * End a subscription and release it. NULL is ignored.
 */
void berth_event_free(struct berth_event *event);

/**
 * Check whether the kernel's OOM killer has ended the container's init: `killed` becomes 1 if init ended by SIGKILL,
 * processes of the container were OOM-killed, and no SIGKILL was sent through this handle; else 0. Call it after
 * berth_container_wait and before berth_container_delete.
 *
 * The kernel counts OOM kills per cgroup, not per process: if another process of the container was OOM-killed before,
 * a SIGKILL from outside this handle is mistaken for an OOM kill of init.
 *
 * Errors: BERTH_E_TIMEOUT if init has not ended, BERTH_E_STATUS_UNKNOWN; BERTH_E_UNSUPPORTED if the kernel does not count
 * (cgroup v1 before Linux 4.13, or no memory controller); BERTH_E_NOT_FOUND.
 */
int32_t berth_container_oom_killed(const struct berth_container *container,
                                   int32_t *killed,
                                   struct berth_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* BERTH_H */
