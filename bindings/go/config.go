package berth

/*
#include <berth.h>
*/
import "C"

import "runtime"

// Config is a validated OCI configuration. Immutable; one configuration can be used for many containers.
type Config struct {
	handle handle[*C.berth_config]
}

func newConfig(raw *C.berth_config) *Config {
	config := &Config{handle[*C.berth_config]{pointer: raw}}
	runtime.SetFinalizer(config, (*Config).Close)
	return config
}

// ConfigFromBundle reads config.json from a directory. Relative paths in it are relative to that directory.
//
// Errors: ErrConfigInvalid and ErrUnsupported with the JSON path; ErrSystem with ENOENT if the file does not exist.
func ConfigFromBundle(bundle string) (*Config, error) {
	path, err := cString(bundle, "bundle")
	if err != nil {
		return nil, err
	}
	defer free(path)
	var config *C.berth_config
	var raw *C.berth_error
	if err := check(C.berth_config_from_bundle(path, &config, &raw), raw); err != nil {
		return nil, err
	}
	return newConfig(config), nil
}

// ConfigFromFile reads a file instead of config.json, with the directory of a bundle. Otherwise as ConfigFromBundle.
func ConfigFromFile(bundle, file string) (*Config, error) {
	path, err := cString(bundle, "bundle")
	if err != nil {
		return nil, err
	}
	defer free(path)
	name, err := cString(file, "file")
	if err != nil {
		return nil, err
	}
	defer free(name)
	var config *C.berth_config
	var raw *C.berth_error
	if err := check(C.berth_config_from_file(path, name, &config, &raw), raw); err != nil {
		return nil, err
	}
	return newConfig(config), nil
}

// NewConfig parses a configuration: JSON text (string, []byte or json.RawMessage), or any value that encoding/json can
// encode, like the Spec of the OCI's Go types. rootfs is a directory to use instead of root.path; "" is none.
//
// Validates the document completely, without accessing the host. Errors: ErrConfigInvalid and ErrUnsupported with the
// JSON path.
func NewConfig(spec any, rootfs string) (*Config, error) {
	text, err := cJSON(spec, "json")
	if err != nil {
		return nil, err
	}
	defer free(text)
	path, err := cStringOrNull(rootfs, "rootfs")
	if err != nil {
		return nil, err
	}
	defer free(path)
	var config *C.berth_config
	var raw *C.berth_error
	if err := check(C.berth_config_from_json(text, path, &config, &raw), raw); err != nil {
		return nil, err
	}
	return newConfig(config), nil
}

// DefaultConfigJSON returns a default configuration, the one that `runc spec` writes.
func DefaultConfigJSON() (string, error) {
	var text *C.char
	var raw *C.berth_error
	if err := check(C.berth_config_default_json(&text, &raw), raw); err != nil {
		return "", err
	}
	return taken(text), nil
}

// DefaultRootlessConfigJSON returns a default configuration for an unprivileged caller: a user namespace whose root is
// this user and group of the host.
func DefaultRootlessConfigJSON(uid, gid uint32) (string, error) {
	var text *C.char
	var raw *C.berth_error
	if err := check(C.berth_config_default_rootless_json(C.uint32_t(uid), C.uint32_t(gid), &text, &raw), raw); err != nil {
		return "", err
	}
	return taken(text), nil
}

// WithNetworks returns a copy of the configuration with networks and routes, as docs/networks.md describes them.
//
// Errors: ErrConfigInvalid with the JSON path in networks.
func (c *Config) WithNetworks(networks any) (*Config, error) {
	text, err := cJSON(networks, "networks_json")
	if err != nil {
		return nil, err
	}
	defer free(text)
	pointer, err := c.handle.acquire("config")
	if err != nil {
		return nil, err
	}
	defer c.handle.release()
	var config *C.berth_config
	var raw *C.berth_error
	if err := check(C.berth_config_with_networks(pointer, text, &config, &raw), raw); err != nil {
		return nil, err
	}
	return newConfig(config), nil
}

// Validate checks what the configuration refers to on the host: files, namespaces, the first hook, bridges. It changes nothing.
func (c *Config) Validate() error {
	pointer, err := c.handle.acquire("config")
	if err != nil {
		return err
	}
	defer c.handle.release()
	var raw *C.berth_error
	return check(C.berth_config_validate(pointer, &raw), raw)
}

// ExplainJSON returns the steps of creating a container. It creates nothing.
func (c *Config) ExplainJSON() (string, error) {
	pointer, err := c.handle.acquire("config")
	if err != nil {
		return "", err
	}
	defer c.handle.release()
	var text *C.char
	var raw *C.berth_error
	if err := check(C.berth_config_explain_json(pointer, &text, &raw), raw); err != nil {
		return "", err
	}
	return taken(text), nil
}

// JSON returns the text that the configuration was made from.
func (c *Config) JSON() (string, error) {
	pointer, err := c.handle.acquire("config")
	if err != nil {
		return "", err
	}
	defer c.handle.release()
	var text *C.char
	var raw *C.berth_error
	if err := check(C.berth_config_to_json(pointer, &text, &raw), raw); err != nil {
		return "", err
	}
	return taken(text), nil
}

// Close releases the configuration; containers created from it do not need it.
func (c *Config) Close() error {
	C.berth_config_free(c.handle.close())
	return nil
}
