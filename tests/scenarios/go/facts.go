package main

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"berth"
)

// Scenarios of queries: containers, runtimes, configurations and the library.
var factScenarios = []scenario{
	{"stats", stats},
	{"stats-json", statsJSON},
	{"set-limits", setLimits},
	{"oom-event", oomEvent},
	{"pressure-event", pressureEvent},
	{"list", list},
	{"load-from-another-handle", loadFromAnotherHandle},
	{"force-delete", forceDelete},
	{"recover", recoverNothing},
	{"hook-fails", hookFails},
	{"interfaces", interfaces},
	{"networks", networks},
	{"state-json", stateJSON},
	{"config-json", configJSON},
	{"explain", explain},
	{"explain-runtime", explainRuntime},
	{"library", library},
	{"log", logLines},
}

func cpuTime(container *berth.Container) time.Duration {
	stats := value(container.Stats())
	check(!stats.MemoryLimit.Known() && !stats.PidsLimit.Known() && stats.CPUUsage.Known(), "%+v", stats)
	return stats.CPUUsage.Duration()
}

func stats(p *place) {
	container := p.run("while :; do :; done", nil)
	before := cpuTime(container)
	for limit := time.Now().Add(longTime); cpuTime(container) <= before; {
		check(time.Now().Before(limit), "it grows")
	}
}

func decoded(text string, err error) (document object) {
	must(err)
	must(json.Unmarshal([]byte(text), &document))
	return
}

func statsJSON(p *place) {
	usage := decoded(p.run("sleep 1000", nil).StatsJSON())
	for _, name := range []string{"cpu", "memory", "pids"} {
		check(usage[name] != nil, "%v has %s", usage, name)
	}
	check(usage["network_interfaces"].([]any)[0].(object)["Name"] == "lo", "%v", usage)
}

// unlessUnsupported skips the scenario if the machine does not have the controller.
func unlessUnsupported(err error, controller string) {
	if errors.Is(err, berth.ErrUnsupported) {
		panic(skipped("no " + controller + " controller"))
	}
	must(err)
}

func setLimits(p *place) {
	container := p.run("sleep 1000", nil)
	unlessUnsupported(container.Set(object{"pids": object{"limit": 77}}), "pids")
	check(value(container.Stats()).PidsLimit == 77, "statistics show it")
	resources := decoded(container.ConfigJSON())["linux"].(object)["resources"].(object)
	check(resources["pids"].(object)["limit"] == 77.0, "%v", resources)
}

func oomEvent(p *place) {
	spec := spec("exec tail /dev/zero")
	spec["linux"].(object)["resources"] = object{"memory": object{"limit": 24 << 20, "swap": 24 << 20}}
	container, err := p.Create(p.newID(), config(spec), berth.NoStdio())
	unlessUnsupported(err, "memory")
	events := value(container.OOMEvents())
	defer events.Close()
	file := value(events.File())
	defer file.Close()
	check(isCloexec(file), "close-on-exec")
	_, err = events.TryRead()
	fails(berth.ErrTimeout, "", err)
	channel := value(container.NotifyOOM(within(longTime)))
	must(container.Start())
	check(isReadable(file, longTime), "something has come")
	var occurred berth.Occurred
	for count := uint64(0); !occurred.Ended; {
		occurred = value(events.Read(within(longTime)))
		count += occurred.Count
		check(!occurred.Ended || count > 0, "counted")
	}
	var total uint64
	for occurred := range channel {
		total += occurred.Count
	}
	check(total > 0, "the channel counts, too")
	isKilled(container)
	check(value(container.OOMKilled()), "OOM-killed")
}

func pressureEvent(p *place) {
	container := p.run("sleep 1000", nil)
	var all []*berth.Events
	for _, level := range []berth.Pressure{berth.PressureLow, berth.PressureMedium, berth.PressureCritical} {
		events, err := container.MemoryPressureEvents(level)
		if errors.Is(err, berth.ErrUnsupported) {
			panic(skipped("memory pressure is not measured"))
		}
		must(err)
		defer events.Close()
		_, err = events.TryRead()
		fails(berth.ErrTimeout, "", err)
		all = append(all, events)
	}
	channel := value(container.NotifyMemoryPressure(within(longTime), berth.PressureLow))
	must(container.Signal(syscall.SIGKILL))
	for _, events := range all {
		for !value(events.Read(within(longTime))).Ended {
		}
	}
	var last berth.Occurred
	for last = range channel {
	}
	check(last.Ended, "the channel ends with the end")
}

func ids(p *place) string {
	var ids []string
	for _, state := range value(p.List()) {
		ids = append(ids, state.ID)
	}
	return strings.Join(ids, " ")
}

func list(p *place) {
	check(ids(p) == "", "none")
	config := config(spec("sleep 1000"))
	first, second := p.newID(), p.newID()
	b := value(p.Create(second, config, berth.NoStdio()))
	a := value(p.Run(first, config, berth.NoStdio()))
	check(ids(p) == first+" "+second, "%s", ids(p))
	must(a.ForceDelete())
	must(b.ForceDelete())
	check(ids(p) == "" && value(p.ListJSON()) == "[]", "none")
}

func loadFromAnotherHandle(p *place) {
	container := value(p.Create(p.newID(), config(spec("sleep 1000")), berth.NoStdio()))
	other := value(berth.NewRuntime(&berth.RuntimeOptions{StateRoot: filepath.Join(p.folder, "state")}))
	defer other.Close()
	loaded := value(other.Load(container.ID()))
	defer loaded.Close()
	hasStatus(loaded, berth.StatusCreated)
	must(loaded.Start())
	hasStatus(loaded, berth.StatusRunning)
	hasStatus(container, berth.StatusRunning)
}

func forceDelete(p *place) {
	config := config(spec("sleep 1000"))
	container := value(p.Run(p.newID(), config, berth.NoStdio()))
	fails(berth.ErrNotStopped, container.ID(), container.Delete())
	must(container.ForceDelete())
	hasStatus(value(p.Run(container.ID(), config, berth.NoStdio())), berth.StatusRunning)
}

func recoverNothing(p *place) {
	container := p.run("sleep 1000", nil)
	check(len(value(p.Recover())) == 0, "nothing")
	hasStatus(container, berth.StatusRunning)
}

// inside finds an interface in a JSON document of interfaces.
func inside(document object, name string) object {
	for _, found := range document["interfaces"].([]any) {
		if found.(object)["name"] == name {
			return found.(object)
		}
	}
	return nil
}

func interfaces(p *place) {
	check(inside(decoded(p.run("sleep 1000", nil).InterfacesJSON()), "lo") != nil, "lo is there")
}

func networks(p *place) {
	connected := value(config(spec("sleep 1000")).WithNetworks(object{"networks": []object{{"type": "veth", "name": "net0"}}}))
	container := value(p.Run(p.newID(), connected, berth.NoStdio()))
	network := decoded(container.NetworksJSON())["networks"].([]any)[0].(object)
	check(network["name"] == "net0" && strings.HasPrefix(network["hostInterfaceName"].(string), "berth"), "%v", network)
	check(inside(decoded(container.InterfacesJSON()), "net0")["up"] == true, "up inside")
}

func stateJSON(p *place) {
	spec := spec("sleep 1000")
	spec["annotations"] = object{"org.example": "mine"}
	container := value(p.Run(p.newID(), config(spec), berth.NoStdio()))
	state := value(container.State())
	check(state.ID == container.ID() && state.Status == "running", "%+v", state)
	check(state.Pid == value(value(container.InitProcess()).Pid()), "%+v", state)
	check(state.Annotations["org.example"] == "mine" && state.Rootfs == rootfs, "%+v", state)
	check(decoded(container.StateJSON())["id"] == container.ID(), "%+v", state)
}

func configJSON(p *place) {
	text := string(value(json.Marshal(spec("sleep 1000"))))
	config := value(berth.NewConfig(text, rootfs))
	check(value(config.JSON()) == text, "the configuration's text")
	check(value(value(p.Run(p.newID(), config, berth.NoStdio())).ConfigJSON()) == text, "the container's text")
}

func explain(p *place) {
	text := value(config(spec("true")).ExplainJSON())
	check(len(decoded(text, nil)["steps"].([]any)) > 0 && strings.Contains(text, `"/proc"`), "%s", text)
	check(ids(p) == "", "none is made")
}

func hookFails(p *place) {
	env := []string{"WHO=the caller", "PATH=/bin"}
	other := value(berth.NewRuntime(&berth.RuntimeOptions{StateRoot: filepath.Join(p.folder, "state"), HookEnv: env}))
	defer other.Close()
	spec := spec("sleep 1000")
	hook := object{"path": rootfs + "/bin/busybox", "args": []string{"sh", "-c", "echo it is $WHO; exit 3"}}
	spec["hooks"] = object{"poststart": []object{hook}}
	container := value(other.Create(p.newID(), config(spec), berth.NoStdio()))
	defer container.Close()
	fails(berth.ErrHook, "it is the caller", container.Start())
	fails(berth.ErrNotFound, container.ID(), container.ForceDelete())
	_, err := other.Load(container.ID())
	fails(berth.ErrNotFound, container.ID(), err)
}

func explainRuntime(p *place) {
	const step = `"FindProgram"`
	text := value(p.ExplainJSON(config(spec("true")), &berth.ProcessOptions{FindProgram: true}))
	check(strings.Contains(text, step), "%s", text)
	text = value(p.ExplainJSON(config(spec("true")), nil))
	check(!strings.Contains(text, step), "%s", text)
	check(ids(p) == "", "none is made")
}

func library(*place) {
	check(strings.Contains(berth.Version(), "."), "%s", berth.Version())
	check(berth.ABIVersion() >= berth.HeaderABIVersion, "%d", berth.ABIVersion())
	check(strings.Contains(value(berth.FeaturesJSON()), `"ociVersionMax":"1.3.0"`), "the features document")
	check(berth.HasFeature("create") && berth.HasFeature("exec") && !berth.HasFeature("no such thing"), "features")
}

// warn makes a poststop hook fail, which is only logged.
func warn(p *place) {
	spec := spec("true")
	hook := object{"path": rootfs + "/bin/busybox", "args": []string{"sh", "-c", "echo sorry; exit 3"}}
	spec["hooks"] = object{"poststop": []object{hook}}
	must(value(p.Run(p.newID(), config(spec), berth.NoStdio())).ForceDelete())
}

func logLines(p *place) {
	warnings := 0
	must(berth.SetLog(func(level berth.LogLevel, target, message string) {
		if level == berth.LogWarn && strings.HasPrefix(target, "berth::") && strings.Contains(message, "sorry") {
			warnings++
		}
	}))
	warn(p)
	check(warnings == 1, "%d", warnings)
	must(berth.SetLogLevel(berth.LogError))
	warn(p)
	check(warnings == 1, "%d", warnings)
	must(berth.SetLogLevel(berth.LogDebug))
	reader, writer := pipe()
	must(berth.SetLogFile(writer))
	must(writer.Close())
	warn(p)
	must(berth.SetLog(nil))
	warn(p)
	check(warnings == 1, "%d", warnings)
	text := readAll(reader)
	check(strings.HasPrefix(text, "{") && strings.Contains(text, `"level":"warn"`), "%s", text)
	check(strings.Count(text, "sorry") == 1, "%s", text)
}
