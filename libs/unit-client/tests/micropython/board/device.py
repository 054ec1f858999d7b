# What main.py of the versions of cuts.mjs calls: the client as a program uses it, without the waiting.
import binascii
import os

import host

if not hasattr(os, 'urandom'):
    os.urandom = lambda count: binascii.unhexlify(host.random(count))


def work():
    # Until there is nothing to do, or the client ends the program for a restart.
    import pepeunit
    unit = pepeunit.Unit()
    unit.exchange()
    for _ in range(2000):
        unit._not_before = 0
        if unit._updater:
            unit._updater.not_before = 0
        if unit._report or not unit.utc_ms:
            unit.exchange()
        if unit.update_step() is None and not unit._report:
            return host.idle()
    raise Exception('the update does not come to an end')
