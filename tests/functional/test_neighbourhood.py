"""The graph around a node and the search for nodes, over HTTP."""
from conftest import ENV, SCHEMA, make_sensor, refused
from marks import requirement


@requirement("G2", "A0", "A4")
def test_the_graph_is_walked_as_far_as_it_may_be_seen(instance, admin, remote):
    url = remote.publish("hood", {"schema.json": SCHEMA, "env_example.json": ENV, "main.py": ""})
    repo = admin.add_repository("Hood", url, level="ACCESS_LEVEL_INSTANCE")
    owner, stranger = instance.api(), instance.api()
    owner.sign_up("hood.owner", "correct horse battery")
    stranger.sign_up("hood.stranger", "correct horse battery")
    unit, variables, _ = make_sensor(owner, repo, "Hood sensor")
    link = owner.post("/api/v1/links", {"type": "LINK_TYPE_WRITE", "output_id": variables["temperature"]["id"], "input_id": variables["target"]["id"]})
    around = f"/api/v1/nodes/{unit['id']}/neighbourhood"

    page = owner.get(around)
    nodes = {node["id"]: node for node in page["nodes"]}
    assert set(nodes) == {unit["id"], unit["owner_id"], repo["id"], *(v["id"] for v in variables.values())}
    assert page["nodes"][0]["id"] == unit["id"] and page["nodes"][0]["version"] == unit["version"]
    assert nodes[variables["target"]["id"]]["variable_kind"] == "VARIABLE_KIND_INPUT"
    assert [edge["link_id"] for edge in page["edges"] if edge["kind"] == "EDGE_KIND_LINK"] == [link["id"]]
    assert {edge["from_id"] for edge in page["edges"] if edge["to_id"] == unit["id"]} == {unit["owner_id"], repo["id"]}

    # Page by page, with filters that come several times.
    query = around + "?depth=2&types=NODE_TYPE_INPUT_VARIABLE&types=NODE_TYPE_OUTPUT_VARIABLE"
    whole, found, cursor = owner.get(query)["nodes"], [], ""
    while True:
        part = owner.get(query + "&page_size=2" + ("&cursor=" + cursor if cursor else ""))
        found += part["nodes"]
        cursor = part.get("next_cursor", "")
        if not cursor:
            break
    assert found == whole and {v["id"] for v in variables.values()} <= {node["id"] for node in whole}
    assert [node["id"] for node in owner.get("/api/v1/nodes?name=HOOD%20SENS")["nodes"]] == [unit["id"]]

    # To a stranger there is no such unit, neither by itself nor around its repository.
    refused(404, "NOT_FOUND", stranger.get, around)
    assert stranger.get("/api/v1/nodes?name=hood%20sens")["nodes"] == []
    assert unit["id"] not in {node["id"] for node in stranger.list(f"/api/v1/nodes/{repo['id']}/neighbourhood?depth=4", "nodes")}
    refused(400, "INVALID_FIELD", owner.get, around + "?depth=5", field="depth")
