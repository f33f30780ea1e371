//! The verbs: what is there before each, how it is called, and what it promises.

use crate::driver::Fault;
use crate::world::World;

pub struct Verb {
    pub name: &'static str,
    /// Prepares what the verb works on.
    pub before: fn(&World),
    pub args: fn(&World) -> Vec<String>,
    /// Whether the container's init, which waits to be started, is traced, too.
    pub with_init: bool,
    /// The container's status after success.
    pub promises: Option<&'static str>,
    /// Whether the verb removes containers.
    pub removes: bool,
    /// Whether `before` has created the container, so that it shows that the id is usable again.
    pub creates: bool,
}

const VERB: Verb = Verb {
    name: "",
    before: nothing,
    args: no_arguments,
    with_init: false,
    promises: None,
    removes: false,
    creates: true,
};

pub const VERBS: [Verb; 13] = [
    Verb { name: "create", args: create, promises: Some("created"), creates: false, ..VERB },
    Verb { name: "create-mapped", args: create_mapped, promises: Some("created"), creates: false, ..VERB },
    Verb { name: "start", before: created, args: start, with_init: true, promises: Some("running"), ..VERB },
    Verb { name: "exec", before: running, args: exec, promises: Some("running"), ..VERB },
    Verb { name: "pause", before: running, args: pause, promises: Some("paused"), ..VERB },
    Verb { name: "resume", before: paused, args: resume, promises: Some("running"), ..VERB },
    Verb { name: "update", before: running, args: update, promises: Some("running"), ..VERB },
    Verb { name: "delete", before: created, args: delete, removes: true, ..VERB },
    Verb { name: "delete-running", before: running, args: delete, removes: true, ..VERB },
    Verb { name: "delete-paused", before: paused, args: delete, removes: true, ..VERB },
    Verb { name: "recover", before: abandoned, args: recover, removes: true, ..VERB },
    Verb { name: "checkpoint", before: running, args: checkpoint, removes: true, ..VERB },
    Verb { name: "restore", before: checkpointed, args: restore, promises: Some("running"), ..VERB },
];

fn nothing(_: &World) {}

fn no_arguments(_: &World) -> Vec<String> {
    Vec::new()
}

fn created(world: &World) {
    world.must(&["create", "--bundle", &world.text("bundle"), &world.id]);
}

fn running(world: &World) {
    world.must(&["run", "--detach", "--bundle", &world.text("bundle"), &world.id]);
}

fn paused(world: &World) {
    running(world);
    world.must(&["pause", &world.id]);
}

/// A container whose creator was killed when init was there.
fn abandoned(world: &World) {
    let line = create(world);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let (outcome, _) = world.traced(&line, None, None);
    let own: Vec<_> = outcome.calls.iter().filter(|call| call.place.process == 0).collect();
    let starts = own.iter().rposition(|call| call.number == libc::SYS_clone3).expect("init is started");
    world.must(&["delete", "--force", &world.id]);
    world.traced(&line, None, Some((*own[starts + 20], Fault::Killed)));
}

fn checkpointed(world: &World) {
    running(world);
    let line = checkpoint(world);
    world.must(&line.iter().map(String::as_str).collect::<Vec<_>>());
    world.must(&["delete", "--force", &world.id]);
}

fn create(world: &World) -> Vec<String> {
    ["create", "--bundle", &world.text("bundle"), &world.id].map(str::to_owned).to_vec()
}

fn create_mapped(world: &World) -> Vec<String> {
    ["create", "--bundle", &world.text("mapped"), &world.id].map(str::to_owned).to_vec()
}

fn start(world: &World) -> Vec<String> {
    ["start", &world.id].map(str::to_owned).to_vec()
}

fn exec(world: &World) -> Vec<String> {
    ["exec", &world.id, "/bin/true"].map(str::to_owned).to_vec()
}

fn pause(world: &World) -> Vec<String> {
    ["pause", &world.id].map(str::to_owned).to_vec()
}

fn resume(world: &World) -> Vec<String> {
    ["resume", &world.id].map(str::to_owned).to_vec()
}

fn update(world: &World) -> Vec<String> {
    ["update", "--memory", "50000000", "--pids-limit", "20", "--cpu-share", "512", &world.id]
        .map(str::to_owned)
        .to_vec()
}

fn delete(world: &World) -> Vec<String> {
    ["delete", "--force", &world.id].map(str::to_owned).to_vec()
}

fn recover(_: &World) -> Vec<String> {
    vec!["recover".to_owned()]
}

fn checkpoint(world: &World) -> Vec<String> {
    ["checkpoint", "--image-path", &world.text("images"), &world.id].map(str::to_owned).to_vec()
}

fn restore(world: &World) -> Vec<String> {
    let (bundle, images) = (world.text("bundle"), world.text("images"));
    ["restore", "--detach", "--bundle", &bundle, "--image-path", &images, &world.id].map(str::to_owned).to_vec()
}
