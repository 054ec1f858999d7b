# A board's cryptolib, by the host's AES.
import binascii
import host


class aes:
    def __init__(self, key, mode, iv):
        assert mode == 2 and len(key) == 32 and len(iv) == 16
        self.key, self.iv = key, iv

    def _run(self, decrypt, data):
        hexed = [binascii.hexlify(b).decode() for b in (self.key, self.iv, data)]
        return binascii.unhexlify(host.aes(decrypt, hexed[0], hexed[1], hexed[2]))

    def encrypt(self, data):
        out = self._run(False, data)
        self.iv = out[-16:]
        return out

    def decrypt(self, data):
        out = self._run(True, data)
        self.iv = bytes(data[-16:])
        return out
