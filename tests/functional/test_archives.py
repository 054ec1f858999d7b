"""Downloads of a unit's program: formats, repetition, parts, and what is said of the rest."""
import io
import os
import subprocess
import tarfile
import tempfile
import urllib.request
import zipfile

import pytest
from conftest import ENV, SCHEMA
from marks import requirement
from pepeunit import repos


@pytest.fixture(scope="module")
def odd(admin, remote):
    """A unit of a repository with everything that does not reach a device, or may not work there."""
    with tempfile.TemporaryDirectory() as temp:
        bare = os.path.join(remote.root, "odd.git")
        work = os.path.join(temp, "work")
        repos.git("init", "--quiet", "--bare", bare)
        repos.git("clone", "--quiet", bare, work)
        files = {"schema.json": SCHEMA, "env_example.json": ENV, "main.py": "print(1)\n", "README.md": "a", "readme.md": "b",
                 ".pepeignore": "docs/\n", "docs/plan.md": "c", "run.sh": "#!/bin/sh\n",
                 "model.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"}
        for name, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(work, name)), exist_ok=True)
            with open(os.path.join(work, name), "w") as f:
                f.write(text)
        os.chmod(os.path.join(work, "run.sh"), 0o755)
        os.symlink("/etc/passwd", os.path.join(work, "passwd"))
        os.symlink("main.py", os.path.join(work, "inside"))
        repos.git("add", "--all", cwd=work)
        repos.git("update-index", "--add", "--cacheinfo", "160000," + "1" * 40 + ",vendor", cwd=work)
        repos.git("commit", "--quiet", "-m", "odd", cwd=work)
        repos.git("push", "--quiet", "origin", "HEAD:refs/heads/main", cwd=work)
    repo = admin.add_repository("odd", remote.url("odd"))
    return admin.post("/api/v1/units", {"repo_unit_id": repo["id"], "name": "odd"})


def fetch(admin, unit, query="", **headers):
    request = urllib.request.Request(f"{admin.url}/api/v1/units/{unit['id']}/archive{query}")
    request.add_header("Authorization", "Bearer " + admin.token)
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as problem:
        return problem.code, problem.headers, problem.read()


@requirement("U6")
def test_a_tar_for_boards_that_run_linux_holds_what_the_zip_holds(admin, odd, tmp_path):
    status, headers, packed = fetch(admin, odd, "?format=ARCHIVE_FORMAT_TAR_GZ")
    assert status == 200 and headers["Content-Type"] == "application/gzip"
    assert headers["Content-Disposition"] == 'attachment; filename="odd.tar.gz"'
    with zipfile.ZipFile(io.BytesIO(fetch(admin, odd)[2])) as z:
        zipped = {name: z.read(name) for name in z.namelist()}
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert {member.name: tar.extractfile(member).read() for member in tar} == zipped
        assert {member.name for member in tar if member.mode & 0o100} == {"run.sh"}
    assert sorted(zipped) == ["README.md", "env.json", "main.py", "model.bin", "readme.md", "run.sh", "schema.json"]
    # The tool that boards have takes it too.
    subprocess.run(["tar", "-xz", "-C", str(tmp_path)], input=packed, check=True)
    assert (tmp_path / "main.py").read_text() == "print(1)\n" and os.access(tmp_path / "run.sh", os.X_OK)
    assert fetch(admin, odd, "?format=RAR")[0] == 400


@requirement("U6")
@pytest.mark.parametrize("query", ["", "?format=ARCHIVE_FORMAT_TAR_GZ"])
def test_what_is_there_is_not_sent_again_and_what_broke_off_goes_on(admin, odd, query):
    _, headers, whole = fetch(admin, odd, query)
    etag = headers["ETag"]
    assert fetch(admin, odd, query)[2] == whole
    assert fetch(admin, odd, query, If_None_Match=etag)[0] == 304
    status, part_headers, rest = fetch(admin, odd, query, Range="bytes=100-", If_Range=etag)
    assert status == 206 and whole[:100] + rest == whole
    assert part_headers["Content-Range"] == f"bytes 100-{len(whole) - 1}/{len(whole)}"
    assert fetch(admin, odd, query, Range="bytes=-7")[2] == whole[-7:]
    status, headers, _ = fetch(admin, odd, query, Range=f"bytes={len(whole)}-")
    assert status == 416 and headers["Content-Range"] == f"bytes */{len(whole)}"
    # New keys are another file: what was fetched of the old one does not fit.
    admin.post(f"/api/v1/units/{odd['id']}:reset-env")
    status, headers, anew = fetch(admin, odd, query, Range="bytes=100-", If_Range=etag)
    assert status == 200 and headers["ETag"] != etag and zipfile_or_tar(anew)


def zipfile_or_tar(content):
    return zipfile.is_zipfile(io.BytesIO(content)) or bool(tarfile.open(fileobj=io.BytesIO(content)).getnames())


@requirement("U6", "R2")
def test_what_does_not_reach_the_device_is_said(admin, odd):
    told = admin.get(f"/api/v1/units/{odd['id']}/archive/files")
    assert told["commit"] == odd["version"]["commit"]
    assert [file["path"] for file in told["files"]] == ["README.md", "main.py", "model.bin", "readme.md", "run.sh", "schema.json"]
    prefix = "FILE_NOTE_REASON_"
    assert {note["path"]: note["reason"].removeprefix(prefix) for note in told["left_out"]} == {
        "docs/plan.md": "IGNORED", "env_example.json": "EXAMPLE", "inside": "SYMBOLIC_LINK", "passwd": "SYMBOLIC_LINK", "vendor": "SUBMODULE"}
    assert {note["path"]: note["reason"].removeprefix(prefix) for note in told["warnings"]} == {"model.bin": "LFS_POINTER", "readme.md": "CASE_COLLISION"}
