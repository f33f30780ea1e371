/*
 * libberth: Linux containers from inside your own program.
 *
 * Generated from src/capi by cbindgen; change it there.
 *
 * CALLS. Most functions return int32_t: 0 is success, everything else a negative BERTH_E_... code. Their last
 * parameter takes the error: on failure, and only then, *error becomes a new object that the caller releases with
 * berth_error_free. It may be NULL. NULL for any other pointer is BERTH_E_INVALID_ARGUMENT, unless the parameter is said
 * to be optional. On failure, an output that is a pointer is NULL, one that is a descriptor is -1, and all others are
 * untouched.
 *
 * OWNERSHIP. What a function gives out belongs to the caller: handles go back through berth_..._free, strings (char *)
 * through berth_string_free, descriptors through close(2); descriptors given out are close-on-exec. A const char * that a
 * getter returns belongs to the handle and is valid as long as it is. What a function takes is copied, descriptors are
 * duplicated: all of it may be freed or closed when the call returns. Freeing a handle never touches the container or
 * process that it names.
 *
 * THREADS. Every function may be called from any thread at any time, also several at once on one handle; only
 * berth_..._free must be the last use of its handle. Errors belong to no thread. No function may be called from a
 * signal handler, or in a child that a program with several threads has forked and that has not executed a program yet.
 *
 * STRINGS are NUL-terminated: UTF-8, except paths, which are any bytes and may be relative to the current directory.
 *
 * STRUCTS that may grow begin with their size as the caller knows it. Members that are zero have their default.
 * A struct from an older header than the library's is understood; one from a newer header is, too, as long as the
 * members that the library does not know are zero (else BERTH_E_UNSUPPORTED).
 *
 * TIMEOUTS are in milliseconds: -1 (any negative number) waits for ever, 0 does not wait. Signals do not cut a wait short.
 *
 * ANY CALL may fail with BERTH_E_INVALID_ARGUMENT (see above), BERTH_E_SYSTEM (the kernel refused; berth_error_errno has
 * the reason), or BERTH_E_INTERNAL (a defect of libberth, caught at this boundary; that is the only case in which the
 * library lets something be written to standard error). Other errors are listed at each function.
 *
 * "OCI" below is the Open Container Initiative's runtime specification, https://github.com/opencontainers/runtime-spec.
 */


#ifndef BERTH_H
#define BERTH_H

#include <stddef.h>
#include <stdint.h>

/**
 * The version of the ABI that this header describes. It grows by one whenever functions, constants or members are
 * added; nothing is ever removed or changed under the same soname. Compare with berth_abi_version().
 */
#define BERTH_ABI_VERSION 1

/**
 * For berth_runtime_options.flags, with BERTH_CGROUP_MANAGER_SYSTEMD: annotations of a configuration whose names begin
 * with "org.systemd.property." become properties of its scope, like "org.systemd.property.TimeoutStopUSec":
 * "uint64 5000000" (values are in GVariant's text form). Leave it out if configurations come from others: properties of a
 * scope can reach beyond the container.
 */
#define BERTH_RUNTIME_SYSTEMD_ANNOTATIONS 1

/**
 * For berth_runtime_options.flags: containers that are created get their root by moving its mount onto "/" and chroot(2),
 * not by pivot_root(2), as runc's --no-pivot. For hosts whose root is the initial RAM filesystem, where pivot_root is
 * impossible. Weaker: the host's mounts stay in the namespace beneath the root, and who may unmount that (CAP_SYS_ADMIN)
 * reaches them. The host's procfs and sysfs are taken away before.
 */
#define BERTH_RUNTIME_NO_PIVOT 2

/**
 * For berth_runtime_options.flags: containers that are created with a new user namespace see the files of their root
 * filesystem with its mappings, so that a root filesystem that belongs to the host's root belongs to theirs, and need not
 * be changed. An id-mapped mount (Linux 5.12); create fails where the filesystem cannot have one.
 */
#define BERTH_RUNTIME_IDMAPPED_ROOT 4

/**
 * For berth_runtime_options.flags, with BERTH_CGROUP_MANAGER_FILES: for callers without privileges, as runc's --rootless.
 * A container without linux.cgroupsPath has cgroups of its own in those hierarchies in which the caller may make them, and
 * if there are none, stays in the caller's cgroups, as with BERTH_CGROUP_MANAGER_DISABLED; limits that would need one are
 * BERTH_E_UNSUPPORTED then. In a user namespace, where no device can be made, device rules that the caller may not set are
 * left out, with a warning in the log.
 */
#define BERTH_RUNTIME_ROOTLESS 8

/**
 * For berth_runtime_options.flags: BERTH_RUNTIME_ROOTLESS if the caller, when the first container is created, is not root, or
 * is the root of a user namespace, whose cgroups may be somebody else's.
 */
#define BERTH_RUNTIME_ROOTLESS_AUTO 16

/**
 * For berth_process_options.flags, when a container is created: its processes keep the session keyring (keyrings(7)) of who
 * starts them, instead of getting a new one.
 */
#define BERTH_PROCESS_INHERIT_KEYRING 1

/**
 * For berth_process_options.flags, with berth_container_exec: in a container that is paused the process begins when that is
 * resumed, and the call returns then, or fails with BERTH_E_TIMEOUT after the setup timeout.
 */
#define BERTH_PROCESS_WAIT_WHILE_PAUSED 2

/**
 * For berth_process_options.flags, when a container is created: create fails (BERTH_E_SYSTEM with ENOENT) if there is no such
 * program, as runc does. Without it that is an error of berth_container_start only: until then hooks may bring the program.
 */
#define BERTH_PROCESS_FIND_PROGRAM 4

/**
 * For berth_container_signal: to every process of the container.
 */
#define BERTH_SIGNAL_ALL 1

/**
 * For berth_container_delete: kill what runs.
 */
#define BERTH_DELETE_FORCE 1

/**
 * For berth_container_interfaces_json: also every interface inside the container.
 */
#define BERTH_INTERFACES_INSIDE 1

/**
 * The container runs on after the checkpoint. Otherwise it is stopped.
 */
#define BERTH_CHECKPOINT_LEAVE_RUNNING 1

/**
 * Only memory is dumped, and the container runs on: the next checkpoint, with these images as parent_images, has only what
 * has changed since. May be repeated. Needs a kernel with memory tracking (else BERTH_E_UNSUPPORTED).
 */
#define BERTH_CHECKPOINT_PRE_DUMP 2

/**
 * The container's terminal, or its session, are the caller's. The same flag is needed for the restore.
 */
#define BERTH_CHECKPOINT_SHELL_JOB 4

/**
 * Established TCP connections. The same flag is needed for the restore.
 */
#define BERTH_CHECKPOINT_TCP_ESTABLISHED 8

/**
 * TCP connections that are not established yet are left out; otherwise they are an error.
 */
#define BERTH_CHECKPOINT_TCP_SKIP_IN_FLIGHT 16

/**
 * Unix sockets whose other end is outside of the container. The same flag is needed for the restore.
 */
#define BERTH_CHECKPOINT_EXTERNAL_UNIX_SOCKETS 32

/**
 * File locks. The same flag is needed for the restore.
 */
#define BERTH_CHECKPOINT_FILE_LOCKS 64

/**
 * Memory stays here until a restore elsewhere asks for it, at page_server_address and page_server_port: the checkpoint
 * waits for that. Needs a kernel with userfaultfd (else BERTH_E_UNSUPPORTED).
 */
#define BERTH_CHECKPOINT_LAZY_PAGES 128

/**
 * What is in the container's network namespace is not dumped. The same flag is needed for the restore.
 */
#define BERTH_CHECKPOINT_EMPTY_NETWORK 256

/**
 * Pages that are in the images of parent_images, too, are removed there.
 */
#define BERTH_CHECKPOINT_AUTO_DEDUP 512

/**
 * Open files that have lost their name get one, in their directory, for the time of the checkpoint.
 */
#define BERTH_CHECKPOINT_LINK_REMAP 1024

/**
 * As BERTH_CHECKPOINT_SHELL_JOB; the container's standard input is given in `process`.
 */
#define BERTH_RESTORE_SHELL_JOB 4

/**
 * As BERTH_CHECKPOINT_TCP_ESTABLISHED.
 */
#define BERTH_RESTORE_TCP_ESTABLISHED 8

/**
 * Established TCP connections are restored as closed ones.
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
 * Memory is asked for when it is used, of a `criu lazy-pages` that works in the same work directory.
 */
#define BERTH_RESTORE_LAZY_PAGES 128

/**
 * As BERTH_CHECKPOINT_EMPTY_NETWORK.
 */
#define BERTH_RESTORE_EMPTY_NETWORK 256

/**
 * Pages are removed from the images as soon as they are restored.
 */
#define BERTH_RESTORE_AUTO_DEDUP 512

/**
 * The stable codes of the C ABI. Numbers are for ever: append, never renumber.
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
     * No container of this id is known below the state root.
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
     * The container is not running (or, where that will do, not created).
     */
    BERTH_E_NOT_RUNNING = -6,
    /**
     * Resume was asked of a container that is not paused.
     */
    BERTH_E_NOT_PAUSED = -7,
    /**
     * Start was asked of a container that runs already.
     */
    BERTH_E_ALREADY_RUNNING = -8,
    /**
     * The configuration is wrong; the message has the JSON path.
     */
    BERTH_E_CONFIG_INVALID = -9,
    /**
     * The process has a terminal already.
     */
    BERTH_E_CONSOLE_EXISTS = -10,
    /**
     * The kernel refused something; the errno says why.
     */
    BERTH_E_SYSTEM = -11,
    /**
     * The kernel, the host or this version of libberth cannot do what was asked.
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
     * The process has ended, and its exit status was taken by somebody else.
     */
    BERTH_E_STATUS_UNKNOWN = -17,
    /**
     * A parameter is NULL, malformed or out of range.
     */
    BERTH_E_INVALID_ARGUMENT = -18,
    /**
     * A defect of libberth itself, caught at the boundary.
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
 * Who was at work when it failed.
 */
enum berth_stage
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The calling process, inside libberth.
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
 * Where a container is in its life (OCI "State"; *paused* is ours).
 */
enum berth_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Somebody is at work on creating it.
     */
    BERTH_STATUS_CREATING = 0,
    /**
     * Set up, its program not started.
     */
    BERTH_STATUS_CREATED = 1,
    /**
     * Its program runs.
     */
    BERTH_STATUS_RUNNING = 2,
    /**
     * Frozen, by pause or by somebody else.
     */
    BERTH_STATUS_PAUSED = 3,
    /**
     * Its init has ended, or its creator was killed at work.
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
 * How much a line of the log matters.
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
 * Where a standard stream of a process leads.
 */
enum berth_stdio
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Where the caller's own stream leads. The default.
     */
    BERTH_STDIO_INHERIT = 0,
    /**
     * To /dev/null.
     */
    BERTH_STDIO_NULL = 1,
    /**
     * To the descriptor `fd` of the caller.
     */
    BERTH_STDIO_FD = 2,
    /**
     * To a new pipe, whose other end berth_process_take_stdio gives.
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
     * By itself: `code` is its exit status.
     */
    BERTH_EXIT_EXITED = 1,
    /**
     * By a signal: `signal` is its number.
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
 * How hard memory is to get, for berth_container_notify_memory_pressure.
 */
enum berth_pressure
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Memory is being reclaimed: caches suffer.
     */
    BERTH_PRESSURE_LOW = 1,
    /**
     * Processes wait noticeably.
     */
    BERTH_PRESSURE_MEDIUM = 2,
    /**
     * Little work is done for want of memory; the OOM killer may be next.
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
 * Who makes the cgroups of containers.
 */
enum berth_cgroup_manager
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * This library, in the cgroup filesystems. linux.cgroupsPath is a path.
     */
    BERTH_CGROUP_MANAGER_FILES = 0,
    /**
     * systemd: each container is a transient scope (systemd.scope(5)), delegated to this library, with its limits as
     * properties. linux.cgroupsPath is "slice:prefix:name"; without it, "berth-<id>.scope" in system.slice. Needs a host
     * with cgroup v2 alone, and systemd's or D-Bus's socket below /run (else BERTH_E_UNSUPPORTED from create).
     */
    BERTH_CGROUP_MANAGER_SYSTEMD = 1,
    /**
     * Nobody: containers stay in the caller's cgroups. They need a new pid namespace, and may have no linux.resources,
     * device rules included (BERTH_E_UNSUPPORTED); pausing, listing and signalling all of their processes, statistics and
     * events are BERTH_E_UNSUPPORTED.
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
 * What becomes of cgroups that the container has made below its own, and of their values, at a restore. The container's
 * own cgroups and limits are always those of the configuration.
 */
enum berth_cgroup_mode
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * They are made again; values are restored in those that are made. The default.
     */
    BERTH_CGROUP_MODE_SOFT = 0,
    /**
     * Nothing is dumped or made: all processes are in the container's own cgroups.
     */
    BERTH_CGROUP_MODE_IGNORE = 1,
    /**
     * All must be there already.
     */
    BERTH_CGROUP_MODE_NONE = 2,
    /**
     * All must be there already, and get their values.
     */
    BERTH_CGROUP_MODE_PROPERTIES = 3,
    /**
     * They are made if missing, and all get their values.
     */
    BERTH_CGROUP_MODE_FULL = 4,
    /**
     * None may be there, all are made. On cgroup v1 CRIU counts the container's own, and refuses a restore.
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
 * What holds back the packets of TCP connections while the container stands still. A restore ends what its images were made
 * with.
 */
enum berth_network_lock
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The kernel's nftables, by CRIU itself. The default.
     */
    BERTH_NETWORK_LOCK_NFTABLES = 0,
    /**
     * The programs iptables-restore and ip6tables-restore of the host. Their rules stay if CRIU is killed.
     */
    BERTH_NETWORK_LOCK_IPTABLES = 1,
    /**
     * Nothing: what arrives while nobody is there ends the connection.
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
 * A checked OCI configuration (config.json). Immutable; one can serve many containers. Released with berth_config_free.
 */
typedef struct berth_config berth_config;

/**
 * A handle on one container. Several handles, also in several processes, may mean the same container. Released with
 * berth_container_free.
 */
typedef struct berth_container berth_container;

/**
 * Why a call failed. Immutable: it may be read from any thread. Released with berth_error_free.
 */
typedef struct berth_error berth_error;

/**
 * A subscription to events of one container. Released with berth_event_free, which ends it.
 */
typedef struct berth_event berth_event;

/**
 * A process of a container. Released with berth_process_free.
 */
typedef struct berth_process berth_process;

/**
 * A state root with containers. Released with berth_runtime_free.
 */
typedef struct berth_runtime berth_runtime;

/**
 * Gets a line of the log: a BERTH_LOG_LEVEL_... constant, the part of the library it comes from
 * ("berth::container::delete"), and a sentence without a newline. Both strings are valid during the call only.
 */
typedef void (*berth_log_callback)(void *userdata,
                                   int32_t level,
                                   const char *target,
                                   const char *message);

/**
 * How a runtime is to work. Fill with berth_runtime_options_init, or with zeros and the size.
 */
typedef struct berth_runtime_options {
    /**
     * sizeof(berth_runtime_options).
     */
    size_t size;
    /**
     * Where the state of the containers is kept, an absolute path of a directory for the caller alone; made if missing.
     * NULL: "/run/berth".
     * It should not outlive a reboot, because the containers do not.
     */
    const char *state_root;
    /**
     * How long init may take to set a container up, without the time of hooks. 0: 60 s.
     */
    int64_t setup_timeout_ms;
    /**
     * How long a call waits for another thread or process that is at work on the same container, before it fails with
     * BERTH_E_BUSY. 0: 30 s.
     */
    int64_t lock_timeout_ms;
    /**
     * How long a hook may run that has no timeout of its own. 0: 60 s.
     */
    int64_t hook_timeout_ms;
    /**
     * How long freezing, killing and removing may take. 0: 30 s.
     */
    int64_t cgroup_timeout_ms;
    /**
     * Who makes the cgroups of containers that are created: a BERTH_CGROUP_MANAGER_... constant. 0: this library.
     */
    int32_t cgroup_manager;
    /**
     * BERTH_RUNTIME_... flags.
     */
    uint32_t flags;
    /**
     * CRIU's program, for checkpoint and restore. NULL: "criu" in the usual directories of the host (/usr/local/sbin,
     * /usr/local/bin, /usr/sbin, /usr/bin, /sbin, /bin).
     */
    const char *criu;
} berth_runtime_options;

/**
 * One standard stream: a BERTH_STDIO_... constant, and for BERTH_STDIO_FD the descriptor (else 0).
 */
typedef struct berth_stream {
    int32_t kind;
    int32_t fd;
} berth_stream;

/**
 * How a process is to be started, beside its OCI specification. Fill with berth_process_options_init, or with zeros
 * and the size.
 *
 * Whether a process has a terminal is said by its specification (process.terminal). Then its streams are the terminal's,
 * and `stdio` must be left at its default.
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
     * `extra_fd_count` descriptors of the caller, which become the process's 3, 4 and so on. NULL if there are none.
     */
    const int32_t *extra_fds;
    size_t extra_fd_count;
    /**
     * A unix socket that gets the master of the process's terminal in a message (SCM_RIGHTS, unix(7)), as runc's
     * --console-socket. NULL: the master is given by berth_process_terminal.
     */
    const char *console_socket;
    /**
     * The signal that the process gets when the thread that started it ends (PR_SET_PDEATHSIG(2const): the thread, not
     * the program). 0: none.
     */
    int32_t parent_death_signal;
    /**
     * BERTH_PROCESS_... flags.
     */
    uint32_t flags;
    /**
     * For berth_container_exec: `cgroup_count` cgroups below the container's own that the process is put into, each
     * "path", in all hierarchies, or "controller[,controller]:path", in those. They must exist; ".." is refused. NULL if there
     * are none: the container's own.
     */
    const char *const *cgroups;
    size_t cgroup_count;
} berth_process_options;

/**
 * What a container has used. Every number is UINT64_MAX if the host does not offer it; a limit is, too, if there is none.
 * Set `size` to sizeof(berth_stats) before the call.
 */
typedef struct berth_stats {
    /**
     * sizeof(berth_stats).
     */
    size_t size;
    /**
     * CPU time used by all processes, living and dead, in nanoseconds.
     */
    uint64_t cpu_usage_ns;
    uint64_t cpu_user_ns;
    uint64_t cpu_system_ns;
    /**
     * Enforcement periods in which the container had something to run.
     */
    uint64_t cpu_periods;
    /**
     * Periods in which it was held back by its quota.
     */
    uint64_t cpu_throttled_periods;
    uint64_t cpu_throttled_ns;
    /**
     * Memory in bytes, with the page cache.
     */
    uint64_t memory_usage;
    uint64_t memory_limit;
    /**
     * The highest usage so far (cgroup v2: Linux 5.19).
     */
    uint64_t memory_peak;
    /**
     * Swap in bytes, without memory.
     */
    uint64_t memory_swap_usage;
    uint64_t memory_swap_limit;
    /**
     * Processes of the container that the OOM killer has killed.
     */
    uint64_t oom_kills;
    /**
     * Threads, which is what the kernel counts here.
     */
    uint64_t pids_current;
    uint64_t pids_limit;
    /**
     * How often memory was at its limit.
     */
    uint64_t memory_limit_hits;
    /**
     * Memory of processes that no file is behind.
     */
    uint64_t memory_anon;
    /**
     * Page cache.
     */
    uint64_t memory_file;
    /**
     * The part of it that was not used lately: usage without it is what cannot be had back easily.
     */
    uint64_t memory_inactive_file;
    /**
     * Memory of the kernel's own.
     */
    uint64_t memory_kernel;
    uint64_t page_faults;
    /**
     * Those that had to wait for a disk.
     */
    uint64_t page_faults_major;
    /**
     * All block devices together.
     */
    uint64_t io_read_bytes;
    uint64_t io_write_bytes;
    uint64_t io_reads;
    uint64_t io_writes;
    /**
     * Time in which at least one task (some) or every task (full) waited for a resource (PSI).
     */
    uint64_t cpu_pressure_some_ns;
    uint64_t cpu_pressure_full_ns;
    uint64_t memory_pressure_some_ns;
    uint64_t memory_pressure_full_ns;
    uint64_t io_pressure_some_ns;
    uint64_t io_pressure_full_ns;
} berth_stats;

/**
 * How a process ended, as wait(2) has it.
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
 * How a container is to be dumped. Fill with berth_checkpoint_options_init, or with zeros and the size.
 */
typedef struct berth_checkpoint_options {
    /**
     * sizeof(berth_checkpoint_options).
     */
    size_t size;
    /**
     * The directory for the images; made if missing. Required.
     */
    const char *images;
    /**
     * The directory for CRIU's log and the other files of its work; made if missing. NULL: one in the container's state.
     */
    const char *work;
    /**
     * The images of the checkpoint or pre-dump before, absolute or as seen from `images`; NULL if there are none. Needs a
     * kernel with memory tracking (else BERTH_E_UNSUPPORTED).
     */
    const char *parent_images;
    /**
     * An IP address at which a `criu page-server` takes the memory, which then is not in `images`. With
     * BERTH_CHECKPOINT_LAZY_PAGES, the address of this host at which it is given. NULL: none.
     */
    const char *page_server_address;
    /**
     * A file of options of CRIU's, which overrule all others (criu(8), "configuration files"). NULL: none.
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
     * With BERTH_CHECKPOINT_LAZY_PAGES: BERTH_STDIO_FD and a descriptor of the caller, to which a NUL byte is written when
     * pages can be asked for. Zeros: none.
     */
    struct berth_stream status;
    /**
     * The TCP port that belongs to page_server_address, 1 to 65535. 0: none.
     */
    int32_t page_server_port;
    /**
     * A BERTH_NETWORK_LOCK_... constant.
     */
    int32_t network_lock;
} berth_checkpoint_options;

/**
 * A pair of links that a restore makes: its name in the container, and that of its other end on the host.
 */
typedef struct berth_veth_pair {
    const char *name;
    const char *host_name;
} berth_veth_pair;

/**
 * A cgroup in which the tree of the images begins. `controller` is a v1 controller, "name=..." for a named hierarchy, or ""
 * for the v2 tree; `path` is a cgroup as /proc/<pid>/cgroup spells it, which must be the container's own or below it.
 */
typedef struct berth_cgroup_root {
    const char *controller;
    const char *path;
} berth_cgroup_root;

/**
 * How a container is to be restored. Fill with berth_restore_options_init, or with zeros and the size.
 */
typedef struct berth_restore_options {
    /**
     * sizeof(berth_restore_options).
     */
    size_t size;
    /**
     * The directory with the images. Required.
     */
    const char *images;
    /**
     * As in berth_checkpoint_options.
     */
    const char *work;
    /**
     * Where standard streams lead that were pipes, and where the terminal's master goes. A stream that was no pipe is as it
     * was, and must be left at its default here. extra_fds must be empty. NULL: the default.
     */
    const struct berth_process_options *process;
    /**
     * `veth_pair_count` pairs, beside those of the configuration's networks. NULL if there are none.
     */
    const struct berth_veth_pair *veth_pairs;
    size_t veth_pair_count;
    /**
     * `cgroup_root_count` places, instead of the container's own cgroups. NULL if there are none.
     */
    const struct berth_cgroup_root *cgroup_roots;
    size_t cgroup_root_count;
    /**
     * The security profile instead of the dumped one: "apparmor:NAME" or "selinux:LABEL". NULL: the dumped one.
     */
    const char *lsm_profile;
    /**
     * An SELinux label for the restored mounts. NULL: none.
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
 * What has happened since it was asked before.
 */
typedef struct berth_occurred {
    /**
     * How often.
     */
    uint64_t count;
    /**
     * 1 if the container's init has ended: nothing more will come, and the descriptor stays readable. Else 0.
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
 * The library's version ("0.1.0"), as a string that is valid for ever.
 */
const char *berth_version(void);

/**
 * The version of the library's ABI. A program that was compiled with a BERTH_ABI_VERSION that is not greater
 * finds every function and constant it knows.
 */
uint32_t berth_abi_version(void);

/**
 * Whether the library can do something: 1 or 0. What the host's kernel offers is another question, which the calls
 * themselves answer. A name that is not known is 0, as is NULL.
 *
 * Known names: "create", "start", "run", "exec", "load", "list", "delete", "recover", "signal", "pause", "set", "stats",
 * "events", "checkpoint", "wait", "pidfd", "hooks", "terminal", "console-socket", "extra-fds", "explain", "features",
 * "log", "seccomp", "apparmor", "selinux",
 * "cgroup-v1", "cgroup-v2", "systemd", and the namespaces: "namespace-cgroup", "namespace-ipc", "namespace-mount", "namespace-network",
 * "namespace-pid", "namespace-time", "namespace-user", "namespace-uts". To come, and 0 as long as they are not there:
 * "network", "rootless".
 */
int32_t berth_has_feature(const char *name);

/**
 * What a configuration may say, as the features document of the OCI runtime specification (features.md): versions, hooks,
 * mount options, namespaces, capabilities and so on that berth_config_from_json accepts. It is about this library; the
 * kernel may lack a thing all the same, and berth_container_create then fails.
 *
 * `json` is released with berth_string_free. Makes no system call. Errors: BERTH_E_INVALID_ARGUMENT.
 */
int32_t berth_features_json(char **json,
                            struct berth_error **error);

/**
 * Sends the log to a function of the caller's; NULL ends that. Until one of the berth_log_set_... functions is called
 * the library logs nowhere. It writes no line that a program needs: what fails is said by errors.
 *
 * The callback may be called from every thread that is inside a call of this library, but in one at a time per thread:
 * what is logged while it runs in the same thread is lost. It should return soon, must not unwind or longjmp, and must
 * not call berth_log_set_callback or berth_log_set_fd (BERTH_E_BUSY). When this function returns, no thread is in the
 * callback set before, and none will be: its userdata may be freed.
 *
 * Takes the place of a descriptor set before. Blocks as long as another thread is in the callback.
 *
 * Errors: BERTH_E_UNSUPPORTED if the program is written in Rust and has set a logger of its own for this library,
 * BERTH_E_BUSY.
 */
int32_t berth_log_set_callback(berth_log_callback callback,
                               void *userdata,
                               struct berth_error **error);

/**
 * Sends the log to a descriptor, which is duplicated; -1 ends that. Each line is a JSON object with the members "time"
 * (RFC 3339), "level" ("error", "warn", "info", "debug", "trace"), "target" and "msg", written with one write(2).
 *
 * The log never makes a call of the library wait or fail: a line that a full pipe or socket cannot take at once is
 * lost, and so is every line when its reader is gone, without a SIGPIPE.
 *
 * Takes the place of a callback set before. Blocks as long as another thread is in it.
 *
 * Errors: as berth_log_set_callback; BERTH_E_INVALID_ARGUMENT if `fd` is not an open descriptor.
 */
int32_t berth_log_set_fd(int32_t fd,
                         struct berth_error **error);

/**
 * Says how much goes to the log: lines up to this level, a BERTH_LOG_LEVEL_... constant. BERTH_LOG_LEVEL_DEBUG, if it is
 * never called. May be called at any time from any thread, but not from inside the log's callback (BERTH_E_BUSY).
 *
 * BERTH_LOG_LEVEL_TRACE is for finding out where the time goes: each call says when it passes the stages of its work.
 * Such a line has the target "berth::point" and consists of the stage's name ("create.cgroups"), a space, and the
 * nanoseconds of CLOCK_MONOTONIC (clock_gettime(2)). The names may change with the library.
 *
 * Errors: BERTH_E_INVALID_ARGUMENT if the level is none of the constants, BERTH_E_BUSY.
 */
int32_t berth_log_set_level(int32_t level,
                            struct berth_error **error);

/**
 * Releases a string that a function of this library gave out. NULL is fine.
 */
void berth_string_free(char *string);

/**
 * The error's BERTH_E_... code; 0 for NULL.
 */
int32_t berth_error_code(const struct berth_error *error);

/**
 * The kernel's reason, as errno(3) numbers it; 0 where there was none, and for NULL.
 */
int32_t berth_error_errno(const struct berth_error *error);

/**
 * Who was at work when it failed: a BERTH_STAGE_... constant; BERTH_STAGE_HOST for NULL.
 */
int32_t berth_error_stage(const struct berth_error *error);

/**
 * One sentence, without a newline, that names the object and the reason. It is for people and may change between
 * versions. Valid as long as the error; an empty string for NULL.
 */
const char *berth_error_message(const struct berth_error *error);

/**
 * Facts beside the sentence, as a JSON object. Which there are depends on what failed, among them: "parameter" (the
 * argument that is wrong), "json_path" (the field of the configuration that is wrong), "step" (what init was
 * doing), "hook" and "hook_index", "output" (the end of what a hook printed), "id" and "status" (of a container that is
 * in the wrong state), "cleanup" (what a failed call could not take back). Valid as long as the error; "{}" for NULL.
 */
const char *berth_error_detail_json(const struct berth_error *error);

/**
 * Releases an error. NULL is fine.
 */
void berth_error_free(struct berth_error *error);

/**
 * A few words for a code, as strerror(3) for errno: for callers that did not take the error object. 0 is "success".
 * Never NULL, also not for a code that this version does not know; the string is valid for ever.
 */
const char *berth_strerror(int32_t code);

/**
 * Makes the options the default: zeros, and the size. `size` is sizeof(berth_runtime_options); nothing beyond it is
 * written. NULL is left alone.
 */
void berth_runtime_options_init(struct berth_runtime_options *options,
                                size_t size);

/**
 * Opens a runtime. `options` is optional: NULL is the default. Several runtimes, also of several processes, may share
 * one state root. Makes the state root if it is missing, and nothing else; containers that are there can be
 * loaded.
 *
 * Errors: BERTH_E_SYSTEM with EACCES if the state root belongs to somebody else or others may write to it;
 * BERTH_E_UNSUPPORTED if the options have a member that this version does not know.
 */
int32_t berth_runtime_new(const struct berth_runtime_options *options,
                          struct berth_runtime **runtime,
                          struct berth_error **error);

/**
 * Releases a runtime. Its containers, and the handles on them, live on. NULL is fine.
 */
void berth_runtime_free(struct berth_runtime *runtime);

/**
 * The states of all containers below the state root, sorted by id, as a JSON array of what
 * berth_container_state_json gives. A container that is deleted meanwhile is left out.
 *
 * `json` is released with berth_string_free. Does not wait for others at work on a container.
 */
int32_t berth_runtime_list_json(const struct berth_runtime *runtime,
                                char **json,
                                struct berth_error **error);

/**
 * Takes back what processes have left behind that were killed while they created or deleted a container: processes,
 * cgroups, and state. Containers that are whole, and those somebody is at work on, stay. To be called when a supervisor
 * starts; without it, berth_container_delete with BERTH_DELETE_FORCE does the same for one id.
 *
 * `ids_json` is optional; it gets the removed ids as a JSON array of strings, released with berth_string_free.
 *
 * Blocks until they are removed, at most the cgroup timeout for each. Errors: BERTH_E_TIMEOUT if a process could
 * not be killed in time; what was removed before stays removed.
 */
int32_t berth_runtime_recover(const struct berth_runtime *runtime,
                              char **ids_json,
                              struct berth_error **error);

/**
 * Reads config.json in the directory `bundle` (OCI "Filesystem Bundle"). Relative paths in it are relative to the bundle.
 *
 * The text is checked as berth_config_from_json says. Errors: BERTH_E_CONFIG_INVALID, BERTH_E_UNSUPPORTED;
 * BERTH_E_SYSTEM with ENOENT if there is no such file.
 */
int32_t berth_config_from_bundle(const char *bundle,
                                 struct berth_config **config,
                                 struct berth_error **error);

/**
 * Reads the file `file` in place of config.json in the directory `bundle`. Otherwise as berth_config_from_bundle.
 */
int32_t berth_config_from_file(const char *bundle,
                               const char *file,
                               struct berth_config **config,
                               struct berth_error **error);

/**
 * Takes the text of a configuration (OCI "Configuration"). `rootfs` is optional: a directory to be used instead of
 * root.path. Without a bundle the paths in the text are absolute.
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
 * The configuration to begin with, the one that `runc spec` writes: a shell on a terminal, in new namespaces, with a
 * read-only root filesystem at "rootfs". `json` is released with berth_string_free.
 */
int32_t berth_config_default_json(char **json,
                                  struct berth_error **error);

/**
 * The same for a caller without privileges, as `runc spec --rootless` writes it: in a user namespace whose root is `uid` and
 * `gid` of the host, with the host's network, and without limits. `json` is released with berth_string_free.
 */
int32_t berth_config_default_rootless_json(uint32_t uid,
                                           uint32_t gid,
                                           char **json,
                                           struct berth_error **error);

/**
 * The same configuration with networks and routes, which config.json has no place for: a new object, which replaces
 * those that `config` may have had. `networks_json` is an object with the arrays "networks" (of type "loopback" or "veth")
 * and "routes"; docs/networks.md has its members. It is checked at once and in full, without a look at the host.
 * A configuration that gives a fixed address or host name serves one container at a time.
 *
 * `with_networks` is released with berth_config_free, as `config` still must be; the text is not part of
 * berth_config_to_json. Errors: BERTH_E_CONFIG_INVALID with the JSON path in `networks_json`, like "networks[0].address";
 * names that the document does not know are refused.
 */
int32_t berth_config_with_networks(const struct berth_config *config,
                                   const char *networks_json,
                                   struct berth_config **with_networks,
                                   struct berth_error **error);

/**
 * Asks the host for what the configuration names: the root filesystem, namespaces to join, hooks, sources of bind
 * mounts, bridges, devices to move, names of interfaces. Changes nothing. berth_container_create does the same first.
 *
 * Errors: BERTH_E_CONFIG_INVALID, BERTH_E_UNSUPPORTED, with the JSON path as berth_config_from_json.
 */
int32_t berth_config_validate(const struct berth_config *config,
                              struct berth_error **error);

/**
 * What berth_container_create would have the container's init do on this host, step by step and in order, as a
 * JSON object with the array "steps", in "user_namespaces" those that mounts are mapped by, and in "outside" what the host does to init meanwhile (limits, scheduling
 * …). Makes nothing. For people and for comparison: names of steps may change between versions.
 *
 * `json` is released with berth_string_free. Errors: as berth_config_validate.
 */
int32_t berth_config_explain_json(const struct berth_config *config,
                                  char **json,
                                  struct berth_error **error);

/**
 * The text that the configuration was made from. `json` is released with berth_string_free.
 */
int32_t berth_config_to_json(const struct berth_config *config,
                             char **json,
                             struct berth_error **error);

/**
 * Releases a configuration; containers made from it do not need it any more. NULL is fine.
 */
void berth_config_free(struct berth_config *config);

/**
 * Makes the options the default: zeros, and the size. `size` is sizeof(berth_process_options); nothing beyond it is
 * written. NULL is left alone.
 */
void berth_process_options_init(struct berth_process_options *options,
                                size_t size);

/**
 * Creates a container (OCI "create"): namespaces, cgroups, root filesystem and hooks are set up, and its init waits for
 * berth_container_start. Its status is BERTH_STATUS_CREATED.
 *
 * `id`: 1 to 200 letters, digits and any of "_+-.", the first one not "+", "-" or "."; unique below the state
 * root. `options` is optional. The streams and the terminal that they ask for are those of berth_container_init_process.
 * `container` is released with berth_container_free; init is a child of the calling process.
 *
 * Blocks until init is ready: at most the setup timeout, and the time of the hooks. After an error nothing is left.
 *
 * Errors: BERTH_E_ID_INVALID, BERTH_E_ID_IN_USE; BERTH_E_CONFIG_INVALID and BERTH_E_UNSUPPORTED as berth_config_validate,
 * before anything is made; BERTH_E_CONSOLE_EXISTS if `options` ask for streams although the process has a terminal;
 * BERTH_E_HOOK; BERTH_E_TIMEOUT; BERTH_E_SYSTEM, at BERTH_STAGE_INIT with the step that failed inside the container.
 */
int32_t berth_container_create(const struct berth_runtime *runtime,
                               const char *id,
                               const struct berth_config *config,
                               const struct berth_process_options *options,
                               struct berth_container **container,
                               struct berth_error **error);

/**
 * Creates and starts a container: berth_container_create and berth_container_start in one. After an error nothing is
 * left. Errors: as both.
 */
int32_t berth_container_run(const struct berth_runtime *runtime,
                            const char *id,
                            const struct berth_config *config,
                            const struct berth_process_options *options,
                            struct berth_container **container,
                            struct berth_error **error);

/**
 * A handle on a container that exists, made by this or any other process. `container` is released with
 * berth_container_free.
 *
 * Errors: BERTH_E_NOT_FOUND, BERTH_E_ID_INVALID.
 */
int32_t berth_container_load(const struct berth_runtime *runtime,
                             const char *id,
                             struct berth_container **container,
                             struct berth_error **error);

/**
 * Releases a handle. The container is not touched. NULL is fine.
 */
void berth_container_free(struct berth_container *container);

/**
 * Starts a created container (OCI "start"), and returns when its program runs. Every process may do it, not only the
 * creator.
 *
 * Blocks for the time of the startContainer and poststart hooks. If the program cannot be executed the error says why,
 * and the container is stopped. If a poststart hook fails the container is killed.
 *
 * Errors: BERTH_E_ALREADY_RUNNING, BERTH_E_PAUSED, BERTH_E_NOT_RUNNING if it is stopped; BERTH_E_NOT_FOUND if it was
 * deleted; BERTH_E_HOOK; BERTH_E_TIMEOUT; BERTH_E_BUSY.
 */
int32_t berth_container_start(const struct berth_container *container,
                              struct berth_error **error);

/**
 * Executes a further process in the container, and returns when its program runs. `process_json` is an OCI "process"
 * object, checked as the one of a configuration; what it leaves out of capabilities and the like is the container's own.
 * `options` is optional. `process` is released with berth_process_free; it is a child of the calling process.
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
 * Sends a signal to the container's init, or with BERTH_SIGNAL_ALL in `flags` to all its processes. A paused container
 * takes SIGKILL at once; other signals reach it when it is resumed.
 *
 * Blocks with BERTH_SIGNAL_ALL only: SIGKILL until the processes are gone, other signals while it is made sure that none
 * is missed; at most the cgroup timeout.
 *
 * Errors: BERTH_E_NOT_RUNNING if there is no init to take it, BERTH_E_NOT_FOUND, BERTH_E_TIMEOUT; BERTH_E_BUSY with
 * BERTH_SIGNAL_ALL.
 */
int32_t berth_container_signal(const struct berth_container *container,
                               int32_t signal,
                               uint32_t flags,
                               struct berth_error **error);

/**
 * Freezes all processes of a running or created container, and returns when the kernel says that they are frozen
 * (cgroups(7), freezer). Blocks at most the cgroup timeout; if they cannot be frozen by then, they run on.
 *
 * Errors: BERTH_E_PAUSED if it is already, BERTH_E_NOT_RUNNING, BERTH_E_NOT_FOUND, BERTH_E_TIMEOUT, BERTH_E_BUSY.
 */
int32_t berth_container_pause(const struct berth_container *container,
                              struct berth_error **error);

/**
 * Lets a paused container go on. Blocks as berth_container_pause.
 *
 * Errors: BERTH_E_NOT_PAUSED, BERTH_E_NOT_FOUND, BERTH_E_TIMEOUT, BERTH_E_BUSY.
 */
int32_t berth_container_resume(const struct berth_container *container, struct berth_error **error);

/**
 * Changes the limits of a container that is running, created or paused. `resources_json` is an OCI "linux.resources" object:
 * what it gives takes the place of what was set, member by member, lists as a whole; what it does not give stays as it
 * is, also the device rules. The change is saved: berth_container_config_json gives it, and a later change begins from it.
 *
 * Beside the members of "linux.resources" it may have "intelRdt" with "l3CacheSchema", "memBwSchema" and "schemata" of
 * "linux.intelRdt", for a container whose configuration has that.
 *
 * If anything fails, what was written before is taken back, and the change is not saved; "restored" in
 * berth_error_detail_json is false, and the message says what is not back, if the kernel did not let it.
 *
 * Errors: BERTH_E_CONFIG_INVALID with the field's JSON path in the configuration ("linux.resources.memory.limit"), before
 * anything was touched; BERTH_E_UNSUPPORTED if the host has no such limit; BERTH_E_SYSTEM if the kernel refuses a value,
 * with the field, the file, the value and the reason; BERTH_E_NOT_RUNNING, BERTH_E_NOT_FOUND, BERTH_E_BUSY.
 */
int32_t berth_container_set(const struct berth_container *container,
                            const char *resources_json,
                            struct berth_error **error);

/**
 * Removes a stopped container (OCI "delete"): what is left of processes and cgroups, and its state; then its poststop
 * hooks run (one that fails is told to the log only). With BERTH_DELETE_FORCE in `flags` a container in any state is
 * killed first, and also what is left of one whose creator was killed is removed. The id may be used again. Handles stay
 * valid; their calls fail with BERTH_E_NOT_FOUND. An exit status that a handle has seen stays with it.
 *
 * Blocks until everything is gone: at most twice the cgroup timeout, and the time of the hooks. After an error it may be
 * called again.
 *
 * Errors: BERTH_E_NOT_STOPPED, BERTH_E_NOT_FOUND, BERTH_E_TIMEOUT if a process could not be killed, BERTH_E_BUSY.
 */
int32_t berth_container_delete(const struct berth_container *container,
                               uint32_t flags,
                               struct berth_error **error);

/**
 * The container's id. Valid as long as the handle; NULL for NULL.
 */
const char *berth_container_id(const struct berth_container *container);

/**
 * The container's status at this moment, a BERTH_STATUS_... constant. It is asked of the kernel each time: other
 * processes may have changed it.
 *
 * Errors: BERTH_E_NOT_FOUND if it was deleted.
 */
int32_t berth_container_status(const struct berth_container *container,
                               int32_t *status,
                               struct berth_error **error);

/**
 * The container's state as JSON: OCI "State" (ociVersion, id, status, pid, bundle, annotations), and beside it rootfs,
 * created, initProcessStartTime, cgroupPaths, namespacePaths and externalDescriptors. The status may also be "paused".
 *
 * `json` is released with berth_string_free. Errors: BERTH_E_NOT_FOUND.
 */
int32_t berth_container_state_json(const struct berth_container *container,
                                   char **json,
                                   struct berth_error **error);

/**
 * The configuration that the container was created from, as it was given, with the limits that berth_container_set has
 * changed. `json` is released with berth_string_free.
 *
 * Errors: BERTH_E_NOT_FOUND.
 */
int32_t berth_container_config_json(const struct berth_container *container,
                                    char **json,
                                    struct berth_error **error);

/**
 * The ids of all processes in the container's cgroups, in the caller's pid namespace and in ascending order. `pids`
 * becomes an array of `count` numbers, released with berth_pids_free; NULL if there are none.
 *
 * Errors: BERTH_E_NOT_FOUND, BERTH_E_NOT_RUNNING.
 */
int32_t berth_container_pids(const struct berth_container *container,
                             int32_t **pids,
                             size_t *count,
                             struct berth_error **error);

/**
 * Releases an array of berth_container_pids. NULL is fine.
 */
void berth_pids_free(int32_t *pids);

/**
 * What the container has used so far (cgroups(7)). The caller sets stats->size before. Members that only a newer header
 * than the library's has become UINT64_MAX.
 *
 * Made to be called often: the first call opens the files that are read (up to 25 descriptors, closed with the handle),
 * and later calls read them again, without allocating memory and without a look at the state directory. All handles
 * together keep at most a quarter of RLIMIT_NOFILE; the others open the files each time.
 *
 * Errors: BERTH_E_NOT_FOUND, BERTH_E_NOT_RUNNING.
 */
int32_t berth_container_stats(const struct berth_container *container,
                              struct berth_stats *stats,
                              struct berth_error **error);

/**
 * Everything that is known of the container's usage, as the JSON object that runc's "events --stats" gives as "data":
 * "cpu" (with times of each CPU on cgroup v1, and pressure), "cpuset", "memory" (with all of memory.stat as "raw", and
 * "event_count"), "pids", "blkio", "hugetlb", "intel_rdt" (empty without linux.intelRdt), "network_interfaces" (each
 * interface of the container's network namespace as its processes see it; none if it has the host's), and, not in runc's,
 * "rdma". Members that runc leaves out when they are 0 are left out.
 *
 * `json` is released with berth_string_free. Errors: BERTH_E_NOT_FOUND, BERTH_E_NOT_RUNNING.
 */
int32_t berth_container_stats_json(const struct berth_container *container,
                                   char **json,
                                   struct berth_error **error);

/**
 * Waits until the container's init has ended, and tells how: berth_process_wait for init, with the same parameters and
 * errors. A handle that has seen init end tells it also after the container was deleted.
 */
int32_t berth_container_wait(const struct berth_container *container,
                             int64_t timeout_ms,
                             struct berth_exit_status *status,
                             struct berth_error **error);

/**
 * A descriptor for the container's init, as berth_process_pidfd: for poll(2), it becomes readable when init has ended.
 *
 * The kernel keeps init of a pid namespace from ending as long as a process in it is a zombie, which executed processes
 * are until their status is taken: by berth_process_wait, or by any call on the container. So whoever only polls this
 * should wait for the processes it has executed, too.
 *
 * Errors: BERTH_E_NOT_RUNNING if init is gone and this handle has not seen it; BERTH_E_NOT_FOUND.
 */
int32_t berth_container_pidfd(const struct berth_container *container,
                              int32_t *fd,
                              struct berth_error **error);

/**
 * A handle on the container's init: for its pipes and terminal, which are with the handle that created the container.
 * `process` is released with berth_process_free.
 *
 * Errors: as berth_container_pidfd.
 */
int32_t berth_container_init_process(const struct berth_container *container,
                                     struct berth_process **process,
                                     struct berth_error **error);

/**
 * What a container's networks have carried, as JSON: the array "networks" has an object for each veth pair that
 * berth_config_with_networks asked for and that is still there, with name, hostInterfaceName, bridge, and the counters
 * receivedBytes, receivedPackets, receivedErrors, receivedDropped, sentBytes, sentPackets, sentErrors, sentDropped.
 * Received is what has come into the container. With BERTH_INTERFACES_INSIDE in `flags` the array "interfaces" has
 * every interface of the container's network namespace, with name, up, mtu, macAddress and the same counters.
 *
 * `json` is released with berth_string_free. Blocks for the moment in which the kernel answers; with
 * BERTH_INTERFACES_INSIDE a helper process is started, which ends before the call returns. The counters are those of
 * rtnetlink(7), IFLA_STATS64.
 *
 * Errors: BERTH_E_NOT_FOUND if it was deleted; with BERTH_INTERFACES_INSIDE, BERTH_E_NOT_RUNNING if it is stopped.
 */
int32_t berth_container_interfaces_json(const struct berth_container *container,
                                        uint32_t flags,
                                        char **json,
                                        struct berth_error **error);

/**
 * Makes the options the default: zeros, and the size. `size` is sizeof(berth_checkpoint_options); nothing beyond it is
 * written. NULL is left alone.
 */
void berth_checkpoint_options_init(struct berth_checkpoint_options *options,
                                   size_t size);

/**
 * Makes the options the default: zeros, and the size. `size` is sizeof(berth_restore_options); nothing beyond it is
 * written. NULL is left alone.
 */
void berth_restore_options_init(struct berth_restore_options *options,
                                size_t size);

/**
 * What CRIU can do here, as a JSON object: "path", "version" ("4.1.1"), "usable" (whether this library can work with that
 * version), "kernel" ("supported", and in "says" the lines of CRIU's own check, criu(8) "check"), and "features"
 * ("memoryTracking", "lazyPages", "pidfdStore").
 *
 * `json` is released with berth_string_free. Starts CRIU and blocks until it has answered, at most a minute. Changes nothing.
 *
 * Errors: BERTH_E_UNSUPPORTED with ENOENT if there is no CRIU; BERTH_E_CRIU if it does not answer as CRIU does;
 * BERTH_E_TIMEOUT.
 */
int32_t berth_criu_check(const struct berth_runtime *runtime,
                         char **json,
                         struct berth_error **error);

/**
 * Dumps the processes of a running or paused container into images, from which berth_container_restore makes them anew, here
 * or on another host. Afterwards the container is stopped (berth_container_delete removes what is left of it), unless
 * `options` let it run on.
 *
 * The images are those of criu(8), with "descriptors.json" beside them: a JSON array of what the standard streams were. It is
 * written last: a directory without it is no checkpoint. docs/checkpoint.md says what cannot be dumped, and what to do.
 *
 * Blocks until CRIU is done, at most the timeout of the options; other calls that change the container wait meanwhile. The
 * container's networks are off their bridges while its processes stand still.
 *
 * After an error the container goes on as before, or is paused as before; a directory that was made for the images is gone.
 *
 * Errors: BERTH_E_CRIU with CRIU's errno, its first errors and advice in the message, and in berth_error_detail_json "log",
 * the end of its log, and "log_file", where all of it is; BERTH_E_TIMEOUT, after which CRIU was killed; BERTH_E_UNSUPPORTED
 * if there is no CRIU, the kernel lacks what the options need, the configuration has a namespace that cannot be dumped, or
 * the container has a process that does not descend from its init; BERTH_E_NOT_RUNNING, BERTH_E_NOT_FOUND, BERTH_E_BUSY.
 */
int32_t berth_container_checkpoint(const struct berth_container *container,
                                   const struct berth_checkpoint_options *options,
                                   struct berth_error **error);

/**
 * Makes a container from the images of a checkpoint. Its processes go on where they were.
 *
 * `id` must be free: a stopped container of the same id is deleted first (berth_container_delete). `config` says what the
 * container may be and do: its namespaces, mounts, cgroups, limits, networks and hooks are taken from there, not from the
 * images, and must be the dumped container's but for paths of the host. `options` are required: they name the images.
 * `container` is released with berth_container_free; its init is a child of the calling process, and everything can be done
 * with it that can be done with one that was started.
 *
 * Images are data that CRIU, which is root, acts upon: take them only from those whom you would let run the container. What
 * goes beyond the configuration (namespaces, cgroups, capabilities, new privileges) is an error before anything runs.
 *
 * Runs the prestart and createRuntime hooks when the namespaces are there, and no others. Blocks until the processes run, at
 * most the timeout of the options and the time of the hooks. After an error nothing is left.
 *
 * Errors: as berth_container_create and berth_container_checkpoint; BERTH_E_INVALID_ARGUMENT if a stream is to be led
 * elsewhere that was no pipe; BERTH_E_SYSTEM with ENOENT if the directory holds no checkpoint.
 */
int32_t berth_container_restore(const struct berth_runtime *runtime,
                                const char *id,
                                const struct berth_config *config,
                                const struct berth_restore_options *options,
                                struct berth_container **container,
                                struct berth_error **error);

/**
 * The process's id in the caller's pid namespace. After the process has ended and was waited for, the number may mean
 * another process; a pidfd never does.
 */
int32_t berth_process_pid(const struct berth_process *process,
                          int32_t *pid,
                          struct berth_error **error);

/**
 * A descriptor for the process (pidfd_open(2)), for the caller's own poll(2) or epoll(7): it becomes readable when the
 * process has ended. `fd` is the caller's to close. Take the status with berth_process_wait, not with waitid(2).
 */
int32_t berth_process_pidfd(const struct berth_process *process,
                            int32_t *fd,
                            struct berth_error **error);

/**
 * Waits until the process has ended, and tells how. May be called again, and by several threads at once.
 *
 * `status` is optional. Blocks up to `timeout_ms`; no lock is held, so every other call works meanwhile.
 *
 * Only this process is waited for, never another child of the caller, and no SIGCHLD handler is needed or in the way.
 * Where the program's own waitpid(-1) has taken the status, or the process is another program's child, the kernel is
 * asked for it (PIDFD_GET_INFO, Linux 6.15).
 *
 * Errors: BERTH_E_TIMEOUT if it has not ended yet; BERTH_E_STATUS_UNKNOWN if it has, and nobody can say how.
 */
int32_t berth_process_wait(const struct berth_process *process,
                           int64_t timeout_ms,
                           struct berth_exit_status *status,
                           struct berth_error **error);

/**
 * Sends a signal to the process (pidfd_send_signal(2)); 0 only asks whether it is there. Never reaches another process
 * that has got the same id.
 *
 * Errors: BERTH_E_NOT_RUNNING if the process has ended, BERTH_E_INVALID_ARGUMENT if there is no such signal.
 */
int32_t berth_process_signal(const struct berth_process *process,
                             int32_t signal,
                             struct berth_error **error);

/**
 * The caller's ends of the pipes that were asked for with BERTH_STDIO_PIPE: fds[0] to write the process's standard input,
 * fds[1] and fds[2] to read its output and error; -1 where there is none. Each is given once, to be closed by the caller;
 * a second call gives -1. Those that are not taken are closed with the last handle on the process.
 *
 * The ends block; writing to a process that has closed its input raises SIGPIPE (pipe(7)).
 *
 */
int32_t berth_process_take_stdio(const struct berth_process *process,
                                 int32_t fds[3],
                                 struct berth_error **error);

/**
 * The master of the process's terminal (pty(7)), to read and write; -1 if the process has none, or if it was sent to a
 * console socket, or if this handle did not start the process. `fd` is the caller's to close; each call gives a new one.
 */
int32_t berth_process_terminal(const struct berth_process *process,
                               int32_t *fd,
                               struct berth_error **error);

/**
 * Sets the size of the process's terminal, in characters; its foreground processes get SIGWINCH (TIOCSWINSZ(2const)).
 *
 * Errors: BERTH_E_INVALID_ARGUMENT if this handle has no terminal (see berth_process_terminal). Whoever got the master
 * through a console socket resizes it there.
 */
int32_t berth_process_resize_terminal(const struct berth_process *process,
                                      uint16_t rows,
                                      uint16_t columns,
                                      struct berth_error **error);

/**
 * Releases a handle on a process, and what was not taken of its pipes and terminal. The process runs on. A process that
 * was not waited for stays a zombie of the caller's until the caller reaps its children or ends. NULL is fine.
 */
void berth_process_free(struct berth_process *process);

/**
 * Asks to be told when the container runs out of memory: on cgroup v2 each process that the OOM killer kills in it, and
 * in cgroups below it, counts (memory.events, "oom_kill"); on v1 each time that its limit, or one above it, cannot be kept
 * (cgroup.event_control with memory.oom_control), also when its OOM killer is disabled.
 *
 * `event` is released with berth_event_free. Only what happens after this call counts.
 *
 * Errors: BERTH_E_UNSUPPORTED if there is no memory controller, BERTH_E_NOT_RUNNING, BERTH_E_NOT_FOUND.
 */
int32_t berth_container_notify_oom(const struct berth_container *container,
                                   struct berth_event **event,
                                   struct berth_error **error);

/**
 * Asks to be told when memory becomes hard to get, at `level`, a BERTH_PRESSURE_... constant. Levels are independent: who
 * wants all of them asks three times.
 *
 * On cgroup v2, by pressure stall information: BERTH_PRESSURE_LOW when some process has waited for memory for 30 ms within
 * one second, BERTH_PRESSURE_MEDIUM for 100 ms, and BERTH_PRESSURE_CRITICAL when all processes at once have waited for
 * 100 ms; counted at most once a second (for callers without CAP_SYS_RESOURCE: twice these times within two seconds). On v1, the kernel's own levels (memory.pressure_level), which come from how much
 * of what is scanned can be reclaimed.
 *
 * Errors: as berth_container_notify_oom; BERTH_E_INVALID_ARGUMENT if there is no such level; BERTH_E_UNSUPPORTED if the
 * kernel does not measure pressure.
 */
int32_t berth_container_notify_memory_pressure(const struct berth_container *container,
                                               int32_t level,
                                               struct berth_event **event,
                                               struct berth_error **error);

/**
 * A descriptor for the caller's own poll(2) or epoll(7): it becomes readable when there may be something for
 * berth_event_read, and when the container's init has ended. It may be readable without anything being there. Do not read
 * it. `fd` is the caller's to close, before berth_event_free or after it.
 */
int32_t berth_event_fd(const struct berth_event *event,
                       int32_t *fd,
                       struct berth_error **error);

/**
 * Takes what has happened since the last call. Blocks up to `timeout_ms` until something has. With several threads in this
 * function each event goes to one of them. When the container's init ends, the last events come with or before "ended".
 *
 * Errors: BERTH_E_TIMEOUT if nothing has happened.
 */
int32_t berth_event_read(const struct berth_event *event,
                         int64_t timeout_ms,
                         struct berth_occurred *occurred,
                         struct berth_error **error);

/**
 * Ends a subscription. NULL is fine.
 */
void berth_event_free(struct berth_event *event);

/**
 * Whether the kernel's OOM killer has ended the container's init: `killed` becomes 1 if init ended by SIGKILL, processes of
 * the container were OOM-killed, and no SIGKILL was sent through this handle; else 0. To be asked after
 * berth_container_wait and before berth_container_delete.
 *
 * The kernel counts OOM kills by cgroup, not by process: where another process of the container was OOM-killed before, a
 * SIGKILL that came from outside of this handle is taken for one more.
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
