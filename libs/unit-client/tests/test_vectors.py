"""The published test vectors, with whichever AES this Python has, and the AES of the client itself."""
import json
import pathlib
import uuid

import pepeunit
import pytest

VECTORS = json.loads((pathlib.Path(__file__).resolve().parents[2] / "envelope" / "vectors.json").read_text())
GOOD = VECTORS["vectors"]


def head(vector, kind):
    return b"PU\x01" + bytes([kind]) + uuid.UUID(vector["unit"]).bytes + vector["sequence"].to_bytes(8, "big")


def keys(vector):
    return {name: bytes.fromhex(value) for name, value in vector["subkeys"].items()}


def opened(vector, sealed, request_tag, kind=None):
    k = keys(vector)
    kind = kind or vector["answer"].get("kind", 2)
    return pepeunit.open_answer(k["answer_encrypt"], k["answer_authenticate"], head(vector, kind), request_tag, sealed)


def plaintext(side):
    return bytes.fromhex(side["plaintext_hex"]) if "plaintext_hex" in side else side["plaintext"].encode()


@pytest.mark.parametrize("vector", GOOD, ids=lambda v: v["name"])
def test_vectors(vector):
    for name, value in vector["subkeys"].items():
        derived = pepeunit.subkey(bytes.fromhex(vector["sync_encrypt_key"]), name.replace("_", " ").encode())
        assert derived.hex() == value
    k, request = keys(vector), vector["request"]
    sealed = pepeunit.seal(k["request_encrypt"], k["request_authenticate"], head(vector, request.get("kind", 1)),
                           plaintext(request), bytes.fromhex(request["iv"]))
    assert sealed.hex() == request["envelope"]
    answer = bytes.fromhex(vector["answer"]["envelope"])
    assert opened(vector, answer, sealed[-32:]) == plaintext(vector["answer"])
    for other in {2, 4, 5} - {vector["answer"].get("kind", 2)}:
        assert opened(vector, answer, sealed[-32:], other) is None


def test_every_kind_has_a_vector():
    assert {v[side].get("kind", usual) for v in GOOD for side, usual in (("request", 1), ("answer", 2))} == {1, 2, 3, 4, 5}


def test_changed_answers_are_refused():
    vector = GOOD[1]
    tag = bytes.fromhex(vector["request"]["envelope"])[-32:]
    answer = bytes.fromhex(vector["answer"]["envelope"])
    for at in range(len(answer)):
        assert opened(vector, answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1:], tag) is None
    for length in range(len(answer)):
        assert opened(vector, answer[:length], tag) is None
    assert opened(vector, answer + b"\0" * 16, tag) is None


def test_an_answer_to_another_request_is_refused():
    first, second = GOOD[0], GOOD[1]
    other_tag = bytes.fromhex(first["request"]["envelope"])[-32:]
    assert opened(second, bytes.fromhex(second["answer"]["envelope"]), other_tag) is None


def test_envelopes_that_are_no_answers_are_refused():
    tag = bytes.fromhex(GOOD[1]["request"]["envelope"])[-32:]
    for vector in VECTORS["refused"]:
        if vector["name"] != "an answer":
            assert opened(GOOD[1], bytes.fromhex(vector["envelope"]), tag) is None, vector["name"]


def test_software_aes_agrees_with_another_implementation():
    import os

    from instance import cbc
    aes = pepeunit._software_aes()
    for blocks in (1, 2, 20):
        key, iv, text = os.urandom(32), os.urandom(16), os.urandom(16 * blocks)
        sealed = cbc(key, iv).encryptor().update(text)
        assert aes(key, 2, iv).encrypt(text) == sealed
        assert aes(key, 2, iv).decrypt(sealed) == text
