from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import qmtl.web
from tests.support.web import Web

OPERATIONS = {
    "submit_strategy", "get_submission", "list_strategies", "get_strategy", "list_versions",
    "get_history",
    "get_version", "activate_strategy", "deactivate_strategy", "append_points", "list_sources",
    "get_source", "trigger_pipeline", "list_executions", "get_status", "get_results",
    "get_result", "get_execution_nodes", "list_nodes", "get_node", "register_node", "get_lineage",
    "get_health", "get_readiness", "cancel_execution", "resume_execution", "retry_execution",
    "replay_execution", "get_plan", "plan_pipeline", "compare_executions", "get_tallies",
    "get_events",
}  # fmt: skip
STATIC = Path(qmtl.web.__file__).parent / "static"


@pytest.fixture
def document(web: Web) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(web.client.get("/openapi.json").data)
    return loaded


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in document["paths"].values():
        for method, operation in path.items():
            if method != "parameters":
                yield method, operation


def resolve(document: dict[str, Any], thing: dict[str, Any]) -> dict[str, Any]:
    for part in thing.get("$ref", "#")[2:].split("/"):
        thing = (document if "$ref" in thing else thing)[part] if part else thing
    return thing


def test_the_document_is_of_openapi_3_1(document: dict[str, Any]):
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"] == "QMTL"


def test_every_operation_bears_the_name_that_it_has_everywhere(document: dict[str, Any]):
    assert {o["operationId"] for _, o in operations(document)} == OPERATIONS


def test_every_reference_leads_somewhere(document: dict[str, Any]):
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))):
        found: Any = document
        for part in reference.split("/"):
            found = found[part]
        assert found, reference


def test_every_documented_refusal_is_a_problem(document: dict[str, Any]):
    for _, operation in operations(document):
        for status, response in operation["responses"].items():
            if status.startswith("4"):
                name = response["$ref"].rsplit("/", 1)[1]
                content = document["components"]["responses"][name]["content"]
                assert content.keys() == {"application/problem+json"}, (operation, status)


def test_writes_ask_for_a_key_and_reads_may_go_without(document: dict[str, Any]):
    assert document["components"]["securitySchemes"] == {
        "key": {"type": "http", "scheme": "bearer"}
    }
    for method, operation in operations(document):
        assert ({} in operation["security"]) == (method == "get"), operation["operationId"]


def test_every_path_parameter_is_described(document: dict[str, Any]):
    for path, item in document["paths"].items():
        named = {p["name"] for p in item.get("parameters", ()) if p["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path)), path


def test_every_operation_says_what_it_does(document: dict[str, Any]):
    assert all(o["summary"].endswith(".") for _, o in operations(document))


def test_patterns_are_those_of_json_schema(document: dict[str, Any]):
    patterns = re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', json.dumps(document))
    assert patterns
    assert all(p.startswith("^") and p.endswith("$") for p in patterns)


def test_the_page_loads_nothing_from_elsewhere(web: Web):
    page = web.client.get("/docs")
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    addresses = re.findall(r'(?:src|href|data-document)="([^"]+)"', page.text)
    own = [a for a in addresses if a != "data:,"]
    assert len(own) == 5
    assert all(web.client.get(a).status_code == 200 for a in own)
    assert "<script>" not in page.text


def test_the_viewer_is_shipped_with_its_licence():
    folder = STATIC / "swagger-ui"
    assert "Apache License" in (folder / "LICENSE").read_text()
    version = re.search(r"Swagger UI (5\.\d+\.\d+)", (folder / "NOTICE").read_text())
    assert version
    assert f'{version[1]}"' in (folder / "swagger-ui-bundle.js").read_text()


def test_the_root_leads_to_the_page(web: Web):
    assert web.client.get("/").headers["Location"].endswith("/docs")
