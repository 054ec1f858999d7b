# Reports the load, memory, temperature and uptime of the machine it runs on: Linux by /proc and /sys, a board with
# MicroPython by what the board knows of itself.
import gc
import os
import sys
import time

try:
    from pepeunit import Unit
except MemoryError:  # a heap as small as an ESP8266's compiles the client in pieces only, and has AES already
    piece = ''
    with open('pepeunit.py') as source:
        for line in source:
            if line.startswith('# ----'):
                if not piece.startswith('# ---- AES'):
                    exec(piece, globals())
                piece = ''
                gc.collect()
            piece += line
    exec(piece, globals())
    del piece, line

BOARD = sys.implementation.name == 'micropython'


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except (OSError, UnicodeError):
        return ''


class Machine:
    # Readings of a Linux machine.
    def __init__(self):
        self.processor = self._processor()

    @staticmethod
    def _processor():
        # (time in use, time in all) since the machine started, in ticks.
        fields = [int(n) for n in read('/proc/stat').split('\n')[0].split()[1:9]]
        idle = sum(fields[3:5])  # idle and waiting for disks
        return sum(fields) - idle, sum(fields)

    def sample(self):
        values = {}
        used, total = self._processor()
        if total > self.processor[1]:
            share = 100 * (used - self.processor[0]) / (total - self.processor[1])
            values['cpu_load'] = round(min(max(share, 0), 100), 1)
            self.processor = used, total
        memory = self._memory()
        if memory:
            values['memory_used_bytes'] = memory[0] - memory[1]
            values['memory_used_percent'] = round(100 * (memory[0] - memory[1]) / memory[0], 1)
        temperature = self._temperature()
        if temperature is not None:
            values['temperature'] = temperature
        uptime = read('/proc/uptime').split()
        if uptime:
            values['uptime'] = int(float(uptime[0]))
        return values

    @staticmethod
    def _memory():
        # (all, available) in bytes, or None.
        sizes = {}
        for line in read('/proc/meminfo').split('\n'):
            words = line.split()
            if len(words) == 3:
                sizes[words[0]] = int(words[1]) * 1024
        if sizes.get('MemTotal:') and 'MemAvailable:' in sizes:
            return sizes['MemTotal:'], sizes['MemAvailable:']
        return None

    @staticmethod
    def _temperature():
        # The hottest of the thermal zones and hardware monitors, or None.
        found = []
        for base, inside in (('/sys/class/thermal', ('temp',)),
                             ('/sys/class/hwmon', ('temp1_input', 'temp2_input', 'temp3_input'))):
            try:
                folders = os.listdir(base)
            except OSError:
                continue
            for folder in folders:
                for name in inside:
                    text = read('%s/%s/%s' % (base, folder, name)).strip()
                    if text.lstrip('-').isdigit() and -60000 < int(text) < 200000:
                        found.append(int(text) / 1000)
        return round(max(found), 1) if found else None

    def state(self, unit):
        memory = self._memory()
        if memory:
            unit.state(memory_free_bytes=memory[1])
        unit.state(ip=address_towards(unit))


class Board:
    # Readings of a microcontroller. It has no count of idle time, so there is no cpu_load.
    def __init__(self):
        self.wifi = None
        try:
            import network
            self.wifi = network.WLAN(network.STA_IF)
        except ImportError:
            pass

    def sample(self):
        gc.collect()
        used, free = gc.mem_alloc(), gc.mem_free()
        values = {'memory_used_bytes': used, 'memory_used_percent': round(100 * used / (used + free), 1)}
        try:
            import esp32
            if hasattr(esp32, 'mcu_temperature'):
                values['temperature'] = esp32.mcu_temperature()
            else:
                values['temperature'] = round((esp32.raw_temperature() - 32) / 1.8, 1)
        except (ImportError, AttributeError):
            pass
        values['uptime'] = time.ticks_ms() // 1000
        return values

    def state(self, unit):
        unit.state(memory_free_bytes=gc.mem_free())
        if self.wifi:
            unit.state(ip=self.wifi.ifconfig()[0])
            try:
                unit.state(rssi=self.wifi.status('rssi'))
            except (ValueError, OSError):
                pass


def address_towards(unit):
    # The address of this machine on the way to the instance; a UDP socket that is connected sends nothing.
    import socket
    try:
        family, _, _, _, address = socket.getaddrinfo(unit.host, unit.port)[0]
        probe = socket.socket(family, socket.SOCK_DGRAM)
        try:
            probe.connect(address)
            return probe.getsockname()[0]
        finally:
            probe.close()
    except OSError:
        return ''


def connect(env):
    # Joins the Wi-Fi of env.json on a board; elsewhere the machine has its network already.
    try:
        import network
    except ImportError:
        return
    wifi = network.WLAN(network.STA_IF)
    wifi.active(True)
    if not wifi.isconnected():
        print('joining the Wi-Fi', env.get('WIFI_SSID'))
        wifi.connect(env.get('WIFI_SSID', ''), env.get('WIFI_PASS', ''))
        for _ in range(100):
            if wifi.isconnected():
                break
            time.sleep(0.2)
    print('address:', wifi.ifconfig()[0])


def stop_on_sigterm():
    try:
        import signal
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    except (ImportError, AttributeError):
        pass  # a board is stopped by its power


def main():
    stop_on_sigterm()
    unit = Unit()
    connect(unit.env)
    machine = Board() if BOARD else Machine()
    began = unit.now()
    unit.state(platform=sys.platform)

    def sample(_):
        values = machine.sample()
        machine.state(unit)
        unit.state(uptime_s=(unit.now() - began) // 1000, dropped=unit.dropped)
        print('measured', values)
        return values

    period = unit.env.get('PERIOD_S') or 5
    print('host-monitor: every', period, 's to', unit.env['PEPEUNIT_URL'])
    try:
        unit.run(sample, period)
    except KeyboardInterrupt:
        pass
    finally:
        print('host-monitor: stopped')


if __name__ == '__main__':
    main()
