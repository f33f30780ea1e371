/*
 * Networks through the C ABI: a configuration with networks, its errors, and the counters.
 */
#include "check.h"

static berth_config *with(const berth_config *config, const char *networks) {
    berth_config *more = NULL;
    OK(berth_config_with_networks(config, networks, &more, &error));
    CHECK(more != NULL);
    return more;
}

int main(int argc, char **argv) {
    berth_config *config, *connected, *none = (berth_config *)1;
    berth_container *container = NULL;
    char *json = NULL;

    begin(argc, argv);
    config = new_config("sleep 1000", 0);

    FAILS(BERTH_E_INVALID_ARGUMENT, "config is NULL", berth_config_with_networks(NULL, "{}", &none, &error));
    CHECK(none == NULL);
    FAILS(BERTH_E_INVALID_ARGUMENT, "networks_json is NULL", berth_config_with_networks(config, NULL, &none, &error));
    FAILS(BERTH_E_INVALID_ARGUMENT, "with_networks is NULL", berth_config_with_networks(config, "{}", NULL, &error));
    FAILS(BERTH_E_CONFIG_INVALID, "the networks is not valid JSON", berth_config_with_networks(config, "{", &none, &error));
    FAILS(BERTH_E_CONFIG_INVALID, "networks[0].address: \"fd00::2/64\" is an IPv6 address",
          berth_config_with_networks(config, "{\"networks\":[{\"type\":\"veth\",\"address\":\"fd00::2/64\"}]}", &none, &error));

    connected = with(config, "{\"networks\":[{\"type\":\"veth\",\"bridge\":\"berth-missing\"}]}");
    FAILS(BERTH_E_CONFIG_INVALID, "networks[0].bridge: the host has no interface", berth_config_validate(connected, &error));
    FAILS(BERTH_E_CONFIG_INVALID, "networks[0].bridge",
          berth_container_create(runtime, new_id(), connected, NULL, &container, &error));
    berth_config_free(connected);

    connected = with(config, "{\"networks\":[{\"type\":\"veth\",\"name\":\"net0\",\"address\":\"10.77.0.2/24\"}]}");
    OK(berth_container_run(runtime, new_id(), connected, NULL, &container, &error));
    OK(berth_container_interfaces_json(container, BERTH_INTERFACES_INSIDE, &json, &error));
    CHECK(strstr(json, "\"networks\":[{\"name\":\"net0\",\"hostInterfaceName\":\"berth"));
    CHECK(strstr(json, "\"interfaces\":[") && strstr(json, "\"name\":\"lo\",\"up\":true"));
    berth_string_free(json);
    OK(berth_container_interfaces_json(container, 0, &json, &error));
    CHECK(strstr(json, "\"receivedBytes\":") && !strstr(json, "interfaces"));
    berth_string_free(json);
    FAILS(BERTH_E_UNSUPPORTED, "0x2", berth_container_interfaces_json(container, 2, &json, &error));
    OK(berth_container_delete(container, BERTH_DELETE_FORCE, &error));
    FAILS(BERTH_E_NOT_FOUND, "does not exist", berth_container_interfaces_json(container, 0, &json, &error));

    berth_container_free(container);
    berth_config_free(connected);
    berth_config_free(config);
    CHECK(berth_has_feature("networks") && berth_has_feature("net-devices"));
    return 0;
}
