# Runs in MicroPython: the client unchanged, as a program on a board would use it.
import json
import os
import sys
import binascii
import hashlib
import host
import struct
import time

if not hasattr(os, 'urandom'):
    os.urandom = lambda count: binascii.unhexlify(host.random(count))
import cryptolib
import socket


import pepeunit
assert pepeunit.SMALL
assert pepeunit.aes is cryptolib.aes


def vectors():
    with open('vectors.json') as file:
        published = json.load(file)

    def raw(text):
        return binascii.unhexlify(text)

    def plaintext(side):
        return raw(side['plaintext_hex']) if 'plaintext_hex' in side else side['plaintext'].encode()

    for v in published['vectors']:
        for name in v['subkeys']:
            assert pepeunit.subkey(raw(v['sync_encrypt_key']), name.replace('_', ' ').encode()) == raw(v['subkeys'][name])
        k, request, answer = v['subkeys'], v['request'], v['answer']
        head = raw(v['unit'].replace('-', '')) + struct.pack('>Q', int(v['sequence']))
        sealed = pepeunit.seal(raw(k['request_encrypt']), raw(k['request_authenticate']),
                               b'PU\x01' + bytes([request.get('kind', 1)]) + head, plaintext(request), raw(request['iv']))
        assert sealed == raw(request['envelope']), v['name']
        keys = raw(k['answer_encrypt']), raw(k['answer_authenticate']), b'PU\x01' + bytes([answer.get('kind', 2)]) + head
        sealed = raw(answer['envelope'])
        tag = raw(request['envelope'])[-32:]
        assert pepeunit.open_answer(keys[0], keys[1], keys[2], tag, sealed) == plaintext(answer)
        for at in range(0, len(sealed), 7):
            changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1:]
            assert pepeunit.open_answer(keys[0], keys[1], keys[2], tag, changed) is None
    print('vectors: %d' % len(published['vectors']))


def software_aes():
    if not hasattr(pepeunit, '_software_aes'):
        return print('software AES is left out')
    aes = pepeunit._software_aes()
    key, iv, text = os.urandom(32), os.urandom(16), os.urandom(64)
    sealed = cryptolib.aes(key, 2, iv).encrypt(text)
    assert aes(key, 2, iv).encrypt(text) == sealed
    assert aes(key, 2, iv).decrypt(sealed) == text
    print('software AES agrees')


def exchange():
    said = []
    unit = pepeunit.Unit(log=lambda *words: said.append(words))
    assert unit.utc_ms is None and unit.inputs == {'target': 20}
    unit.state(ip='10.0.0.7')
    unit.report({'t': 21.5, 'h': 40})
    unit.put('t', float('nan'))
    assert unit.dropped == 1
    assert unit.exchange(), said
    assert unit.inputs == {'target': 22.5, 'text': 'тепло'}, unit.inputs
    assert unit.utc_ms - 1795446245000 < 5000
    assert unit.update == 'd' * 40

    unit.put('t', 1.5)
    host.fault('lose the answer')
    assert not unit.exchange()
    assert 0 < unit.wait_ms() <= 1000
    unit._not_before = 0
    unit.put('t', 2.5)
    assert unit.exchange()
    assert unit.exchange()
    host.fault('change the answer')
    unit.put('t', 3.5)
    assert not unit.exchange()
    unit._not_before = 0
    assert unit.exchange()
    unit.close()
    host.fault('refuse the connection')
    unit.put('t', 4.5)
    assert not unit.exchange()
    assert unit._sealed is None and unit.waiting() == 1
    assert unit.exchange()
    for n in range(100):
        unit.put('t', n)
    assert unit.waiting() == unit.max_queue
    assert unit.exchange()
    print('exchanges done')


vectors()
software_aes()
exchange()
