"""Prints which requirement is proven by which tests, from the tags of Catch2 and the marks of pytest."""
import ast
import glob
import os
import re
import signal

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IDS = [letter + str(i) for letter, first, last in (("G", 1, 5), ("A", 0, 5), ("R", 1, 11), ("U", 1, 13), ("S", 1, 4), ("D", 1, 4), ("O", 1, 5))
       for i in range(first, last + 1)]


signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # for `| head`


def files(pattern):
    for part in ("libs", "services", "tests"):
        for path in sorted(glob.glob(os.path.join(ROOT, part, "**", pattern), recursive=True)):
            with open(path, encoding="utf-8") as f:
                yield os.path.relpath(path, ROOT), f.read()


def catch_tests():
    """(place, tags) of every TEST_CASE; a name or its tags may be written as several literals."""
    for path, text in files("*_test.cpp"):
        for names, tags in re.findall(r'(?:TEST_CASE|SCENARIO|TEMPLATE_TEST_CASE)\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+),\s*((?:"[^"]*"\s*)+)', text):
            name = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', names))
            yield f"{path}: {name}", re.findall(r"\[([A-Z]\d+)\]", tags)


def marked(decorator):
    named = isinstance(decorator, ast.Call) and isinstance(decorator.func, (ast.Name, ast.Attribute))
    return named and (getattr(decorator.func, "id", None) or getattr(decorator.func, "attr", None)) == "requirement"


def pytest_tests():
    """(place, ids) of every marked test; without a mark, the ids that its name begins with, as in test_U6_..."""
    for path, text in files("test_*.py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                ids = [arg.value for d in node.decorator_list if marked(d) for arg in d.args]
                yield f"{path}: {node.name}", ids or re.findall(r"_([A-Z]\d+)(?=_)", node.name)


tests = {}
unknown = []
for place, ids in list(catch_tests()) + list(pytest_tests()):
    for each in ids:
        tests.setdefault(each, []).append(place)
        if each not in IDS:
            unknown.append(f"{place}: [{each}]")
for each in IDS:
    found = tests.get(each, [])
    print(f"{each:4} {len(found):3} test{'s' if len(found) != 1 else ' '}" + ("" if found else "   not proven yet"))
    for place in found:
        print("         " + place)
missing = [each for each in IDS if not tests.get(each)]
print(f"\nA test may prove a part of its requirement. {len(IDS) - len(missing)} of {len(IDS)} requirements have a test; without one: {', '.join(missing) or 'none'}")
if unknown:
    raise SystemExit("Ids that no requirement has:\n" + "\n".join(unknown))
