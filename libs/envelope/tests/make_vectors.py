"""Makes ../vectors.json by a computation that shares nothing with the library: Python's hmac and the openssl program.

    python3 make_vectors.py > ../vectors.json
"""
import hashlib
import hmac
import json
import struct
import subprocess
import uuid

PIECE = bytes(range(256))  # not text in any encoding that a client might take it for


def expand(key, info):
    return hmac.new(key, info.encode() + b"\x01", hashlib.sha256).digest()


def aes_cbc(key, iv, plain):
    run = subprocess.run(["openssl", "enc", "-aes-256-cbc", "-K", key.hex(), "-iv", iv.hex()],
                         input=plain, capture_output=True, check=True)
    return run.stdout


def seal(key, kind, unit, sequence, iv, plain, request_tag=b""):
    direction = "request" if kind in (1, 3) else "answer"
    head = b"PU\x01" + bytes([kind]) + unit.bytes + struct.pack(">Q", sequence)
    before = head + iv + aes_cbc(expand(key, "pepeunit v1 %s encrypt" % direction), iv, plain)
    tag = hmac.new(expand(key, "pepeunit v1 %s authenticate" % direction), before + request_tag, hashlib.sha256).digest()
    return before + tag


def side(kind, usual, iv, plain, envelope):
    content = {"plaintext_hex": plain.hex()} if kind == 5 else {"plaintext": plain.decode()}
    return {**({} if kind == usual else {"kind": kind}), "iv": iv.hex(), **content, "envelope": envelope.hex()}


def vector(name, key, unit, sequence, iv, plain, answer_iv, answer, kinds=(1, 2)):
    request = seal(key, kinds[0], unit, sequence, iv, plain)
    return {
        "name": name, "sync_encrypt_key": key.hex(), "unit": str(unit), "sequence": sequence,
        "subkeys": {"%s_%s" % (d, u): expand(key, "pepeunit v1 %s %s" % (d, u)).hex()
                    for d in ("request", "answer") for u in ("encrypt", "authenticate")},
        "request": side(kinds[0], 1, iv, plain, request),
        "answer": side(kinds[1], 2, answer_iv, answer, seal(key, kinds[1], unit, sequence, answer_iv, answer, request[-32:])),
    }


def flip(envelope, at):
    return envelope[:at] + bytes([envelope[at] ^ 1]) + envelope[at + 1:]


def main():
    key = bytes(range(32))
    unit = uuid.UUID("0190163d-8694-739b-aea5-966c26f8ad91")
    good = [
        vector("hello", key, unit, 0, bytes(16), b"{}", b"\xff" * 16, b'{"next":1}'),
        vector("a reading", key, unit, 1, bytes(range(16)),
               b'{"output_variables":[{"age_ms":0,"values":{"temperature":21.5}}]}', bytes(range(16, 32)),
               b'{"world_state":{"utc":"2026-01-02T03:04:05Z"},"input_variables":{"target":22}}'),
        vector("a whole block, text beyond ASCII, the highest sequence", hashlib.sha256(b"another key").digest(),
               uuid.UUID(int=(1 << 128) - 1), (1 << 64) - 1, b"\xa5" * 16, "{\"t\":\"температура\"}".encode().ljust(32),
               b"\x5a" * 16, b"{}".ljust(16)),
        vector("empty plaintext", key, unit, 7, b"\x01" * 16, b"", b"\x02" * 16, b""),
        vector("a manifest", key, unit, 0, b"\x03" * 16,
               b'{"ask":"manifest","commit":"%s","have":"%s","from":0,"max_answer_bytes":4000}' % (b"b" * 40, b"a" * 40),
               b"\x04" * 16, json.dumps({
                   "commit": "b" * 40, "count": 2, "bytes": len(PIECE), "from": 0,
                   "files": [{"path": "lib/a.py", "size": len(PIECE), "sha256": hashlib.sha256(PIECE).hexdigest()},
                             {"path": "old.py", "delete": True}]}, separators=(",", ":")).encode(), (3, 4)),
        vector("a file, of every byte", key, unit, 0, b"\x05" * 16,
               b'{"ask":"file","commit":"%s","path":"lib/a.py","offset":0,"length":1024}' % (b"b" * 40), b"\x06" * 16, PIECE, (3, 5)),
    ]
    # Pushed after that answer, whose tag stands in for a request's.
    push = b'{"input_variables":{"target":23}}'
    good[1]["push"] = {"sequence": 1, **side(6, 0, b"\x07" * 16, push, seal(
        key, 6, unit, 1, b"\x07" * 16, push, bytes.fromhex(good[1]["answer"]["envelope"])[-32:]))}
    envelope = bytes.fromhex(good[1]["request"]["envelope"])
    bad = [
        {"name": "changed " + what, "envelope": flip(envelope, at).hex()}
        for what, at in (("magic", 0), ("version", 2), ("kind", 3), ("unit", 4), ("sequence", 27), ("iv", 28),
                         ("ciphertext", 44), ("tag", len(envelope) - 1))
    ] + [
        {"name": "empty", "envelope": ""}, {"name": "header only", "envelope": envelope[:28].hex()},
        {"name": "cut by a byte", "envelope": envelope[:-1].hex()}, {"name": "cut by a block", "envelope": envelope[:-16].hex()},
        {"name": "a byte too long", "envelope": envelope.hex() + "00"},
        {"name": "an answer", "envelope": good[1]["answer"]["envelope"]},
        {"name": "an update request", "envelope": good[4]["request"]["envelope"]},
    ]
    print(json.dumps({"description": "Test vectors of PROTOCOL.md, version 1. `refused` are not requests of the unit of "
                                     "vector 1; its answer is refused for any other request.",
                      "vectors": good, "refused": bad}, indent=1, ensure_ascii=False))


main()
