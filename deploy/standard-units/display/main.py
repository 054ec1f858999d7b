# Shows its inputs `text` and `value`: on the standard output, in the file shown.txt beside this program, and on an
# SSD1306 display (128 x 64, I2C on the pins SCL_PIN and SDA_PIN of env.json) when there is one. Reports what it shows.
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


def find_panel(env):
    try:
        import machine
        import ssd1306
        bus = machine.I2C(scl=machine.Pin(int(env['SCL_PIN'])), sda=machine.Pin(int(env['SDA_PIN'])))
        return ssd1306.SSD1306_I2C(128, 64, bus)
    except (ImportError, KeyError, ValueError, TypeError, OSError, AttributeError):
        return None


def folder():
    at = __file__.replace('\\', '/').rfind('/')
    return __file__[:at] if at > 0 else '.'


class Display:
    def __init__(self, unit):
        self.unit = unit
        self.panel = find_panel(unit.env)
        self.on_disk = sys.implementation.name != 'micropython'  # a board must not wear out its flash
        self.shown = None
        self.began = unit.now()

    def show(self, unit):
        # Called after each exchange, with fresh inputs.
        value, text = unit.inputs.get('value'), unit.inputs.get('text') or ''
        now = (text + ' ' if text else '') + ('-' if value is None else str(value))
        if now == self.shown:
            return
        self.shown = now
        print('showing:', now)
        if self.panel:
            self.panel.fill(0)
            self.panel.text(now[:16], 0, 28)
            self.panel.show()
        if self.on_disk:
            with open(folder() + '/shown.txt', 'w') as file:
                file.write(now + '\n')
        unit.put('shown', now)

    def sample(self, unit):
        # The uptime is told once a minute: without news an exchange is a mere question, which costs nothing.
        unit.state(uptime_s=(unit.now() - self.began) // 60000 * 60, dropped=unit.dropped)


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
    display = Display(unit)
    period = unit.env.get('PERIOD_S') or 2
    print('display: every', period, 's from', unit.env['PEPEUNIT_URL'])
    try:
        unit.run(display.sample, period, display.show)
    except KeyboardInterrupt:
        pass
    finally:
        print('display: stopped')


if __name__ == '__main__':
    main()
