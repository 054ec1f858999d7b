# Keeps a room at the wanted temperature: a DS18x20 sensor and a relay on a board, else a simulated room.
# env.json: SENSOR_PIN and HEATER_PIN (numbers) name the pins; without them the room is simulated.
import gc
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

HYSTERESIS = 0.3  # degrees around the target in which the heater is left as it is


class SimulatedRoom:
    # Loses heat to the outside through its walls and gains it from the heater.
    name = 'simulated'
    OUTSIDE = 8.0         # degrees
    LOSS_PER_S = 0.002    # share of the difference to the outside
    HEATER_PER_S = 0.05   # degrees

    def __init__(self, now_ms):
        self.temperature = 17.0
        self.at = now_ms

    def measure(self, now_ms, heating):
        seconds = min((now_ms - self.at) / 1000, 60)
        self.at = now_ms
        self.temperature += seconds * (heating * self.HEATER_PER_S - (self.temperature - self.OUTSIDE) * self.LOSS_PER_S)
        return round(self.temperature, 2)

    def heat(self, on):
        pass  # measure() is told


class Sensor:
    # A DS18B20 or DS18S20 on one pin, a relay on another.
    name = 'ds18x20'

    def __init__(self, sensor_pin, heater_pin):
        import ds18x20
        import machine
        import onewire
        self.bus = ds18x20.DS18X20(onewire.OneWire(machine.Pin(sensor_pin)))
        self.address = self.bus.scan()[0]
        self.relay = machine.Pin(heater_pin, machine.Pin.OUT, value=0)

    def measure(self, now_ms, heating):
        self.bus.convert_temp()
        time.sleep(0.75)  # what the sensor needs for 12 bits
        return round(self.bus.read_temp(self.address), 2)

    def heat(self, on):
        self.relay.value(1 if on else 0)


def find_room(unit):
    try:
        return Sensor(int(unit.env['SENSOR_PIN']), int(unit.env['HEATER_PIN']))
    except (ImportError, KeyError, ValueError, TypeError, IndexError, OSError) as e:
        print('no sensor, the room is simulated:', repr(e))
        return SimulatedRoom(unit.now())


class Thermostat:
    def __init__(self, unit):
        self.unit = unit
        self.room = find_room(unit)
        self.heating = False
        self.began = unit.now()
        unit.state(sensor=self.room.name)

    def target(self):
        wanted = self.unit.inputs.get('target_temperature')
        return 21 if wanted is None else wanted

    def sample(self, unit):
        temperature = self.room.measure(unit.now(), self.heating)
        if temperature < self.target() - HYSTERESIS:
            self.heating = True
        elif temperature > self.target() + HYSTERESIS:
            self.heating = False
        self.room.heat(self.heating)
        unit.state(uptime_s=(unit.now() - self.began) // 1000, dropped=unit.dropped)
        print('temperature', temperature, 'target', self.target(), 'heating', self.heating)
        return {'temperature': temperature, 'heating': self.heating}


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
    thermostat = Thermostat(unit)
    period = unit.env.get('PERIOD_S') or 5
    print('thermostat: every', period, 's to', unit.env['PEPEUNIT_URL'])
    try:
        unit.run(thermostat.sample, period)
    except KeyboardInterrupt:
        pass
    finally:
        thermostat.room.heat(False)
        print('thermostat: stopped, the heater is off')


if __name__ == '__main__':
    main()
