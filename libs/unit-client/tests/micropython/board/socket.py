# A board's socket; the other end is the host's instance.
import binascii
import host

AF_INET = 2
SOCK_STREAM = 1


def getaddrinfo(name, port, family=0, kind=0):
    return [(AF_INET, SOCK_STREAM, 0, '', (name, port))]


class socket:
    def __init__(self, family=AF_INET, kind=SOCK_STREAM, protocol=0):
        self.number = None

    def settimeout(self, seconds):
        pass

    def connect(self, address):
        self.number = host.connect(address[0], address[1])
        if not self.number:
            raise OSError(111)

    def sendall(self, data):
        host.send(self.number, binascii.hexlify(data).decode())

    def recv(self, count):
        return binascii.unhexlify(host.receive(self.number, count))

    def close(self):
        pass
