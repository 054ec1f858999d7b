# A board's machine. A reset ends the interpreter; cuts.mjs starts the next.


class Reset(BaseException):
    pass


def reset():
    raise Reset()


class Timer:
    ONE_SHOT = 0

    def __init__(self, number):
        pass

    def init(self, mode, period, callback):
        pass

    def deinit(self):
        pass
