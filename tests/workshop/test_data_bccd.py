"""BCCD: boxes as edges, archives read in place, XML that may not bite."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from viva.data import bccd
from viva.data.download import ChecksumError


def xml(*things: tuple[str, Any, Any, Any, Any], width: int = 64, height: int = 48, before: str = "") -> bytes:
    drawn = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for name, x1, y1, x2, y2 in things
    )
    return f"{before}<annotation><size><width>{width}</width><height>{height}</height></size>{drawn}</annotation>".encode()


def jpeg(width: int = 64, height: int = 48, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (width, height), 200 if mode == "L" else (200, 100, 50)).save(file, "JPEG", quality=95)
    return file.getvalue()


def members(**changes: bytes) -> dict[str, bytes]:
    usual = {
        "Annotations/A.xml": xml(("WBC", 1, 1, 64, 48), ("RBC", 10, 20, 30, 40)),
        "JPEGImages/A.jpg": jpeg(),
        "Annotations/B.xml": xml(),
        "JPEGImages/B.jpg": jpeg(mode="L"),
        "ImageSets/Main/train.txt": b"A\nB\n",
        "ImageSets/Main/test.txt": b"",
    }
    return usual | {name.replace("__", "/"): content for name, content in changes.items()}


def archive(folder: Path, contents: dict[str, bytes], prefix: str = "BCCD/", mode: str = "w:gz") -> Path:
    path = folder / bccd.ARCHIVE
    with tarfile.open(path, mode) as file:
        for name, content in contents.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def test_a_set_is_read_with_its_shapes(tmp_path: Path) -> None:
    archive(tmp_path, members())
    cells = bccd.load("train", folder=tmp_path)
    assert len(cells) == 2 and cells.names == ["A", "B"]
    first = cells[0]
    assert first.name == "A" and first.image.shape == (3, 48, 64) and first.image.dtype == torch.uint8
    assert first.boxes.dtype == torch.float32 and first.boxes.tolist() == [[0, 0, 64, 48], [9, 19, 30, 40]]
    assert first.labels.dtype == torch.int64 and [bccd.CLASSES[i] for i in first.labels] == ["WBC", "RBC"]
    assert abs(int(first.image[0].float().mean()) - 200) <= 3 and abs(int(first.image[2].float().mean()) - 50) <= 3


def test_an_image_without_cells_has_empty_boxes_and_three_channels(tmp_path: Path) -> None:
    archive(tmp_path, members())
    empty = bccd.load("train", folder=tmp_path)[1]
    assert empty.boxes.shape == (0, 4) and empty.labels.shape == (0,) and empty.image.shape == (3, 48, 64)
    assert len(bccd.load("test", folder=tmp_path)) == 0


@pytest.mark.parametrize("prefix", ["BCCD/", "./BCCD/", "BCCD_Dataset-master/BCCD/"])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_however_it_is_packed_the_contents_are_the_same(tmp_path: Path, prefix: str, mode: str) -> None:
    assert bccd.read_archive(archive(tmp_path, members(), prefix, mode)) == members()


def test_nothing_outside_the_set_is_read_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "hostile.tar"
    with tarfile.open(path, "w") as file:
        outside = ("../BCCD/Annotations/evil.xml", "../../BCCD/Annotations/evil.xml", "/BCCD/Annotations/evil.xml", "other/x")
        for name in (*outside, "BCCD/Annotations/../../evil.xml", "BCCD/Annotations/a/b.xml"):
            info = tarfile.TarInfo(name)
            info.size = 4
            file.addfile(info, io.BytesIO(b"evil"))
        for kind, name in ((tarfile.SYMTYPE, "link"), (tarfile.LNKTYPE, "hard"), (tarfile.CHRTYPE, "device"), (tarfile.DIRTYPE, "folder")):
            info = tarfile.TarInfo(f"BCCD/Annotations/{name}.xml")
            info.type, info.linkname = kind, "/etc/passwd"
            file.addfile(info)
        info = tarfile.TarInfo("BCCD/ImageSets/Main/train.txt")
        file.addfile(info)
    assert bccd.read_archive(path) == {"ImageSets/Main/train.txt": b""}
    assert [entry.name for entry in tmp_path.iterdir()] == ["hostile.tar"]


def test_a_member_too_large_for_the_set_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bccd, "LARGEST_MEMBER", 1000)
    with pytest.raises(ValueError, match=r"is not BCCD: BCCD/Annotations/A.xml has 1001 bytes"):
        bccd.read_archive(archive(tmp_path, members(Annotations__A=b"") | {"Annotations/A.xml": b"x" * 1001}))
    monkeypatch.setattr(bccd, "LARGEST_MEMBER", 1 << 20)
    monkeypatch.setattr(bccd, "LARGEST_SET", 1000)
    with pytest.raises(ValueError, match="is not BCCD"):
        bccd.read_archive(archive(tmp_path, members()))


def test_an_archive_that_is_cut_or_none_is_named(tmp_path: Path) -> None:
    path = archive(tmp_path, members())
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"<html>", b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"BCCD\.tar\.gz"):
            bccd.load("train", folder=tmp_path)
    archive(tmp_path, {"x": b""}, prefix="else/")
    with pytest.raises(ValueError, match="has no BCCD/Annotations"):
        bccd.load("train", folder=tmp_path)


def test_what_a_list_names_must_be_there(tmp_path: Path) -> None:
    archive(tmp_path, members() | {"ImageSets/Main/train.txt": b"A\nC\n"})
    with pytest.raises(ValueError, match=r"lists C and has no Annotations/C\.xml"):
        bccd.load("train", folder=tmp_path)
    with pytest.raises(ValueError, match=r"has no ImageSets/Main/val\.txt"):
        bccd.load("val", folder=tmp_path)
    with pytest.raises(ValueError, match="there is no 'dev'"):
        bccd.load("dev", folder=tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("photograph", "reason"),
    [(jpeg(32, 48), "32×48 pixels and its annotation says 64×48"), (jpeg()[:300], "no whole JPEG"), (b"GIF89a", "no whole JPEG"), (b"", "no whole JPEG")],
)
def test_a_photograph_that_does_not_fit_is_named(tmp_path: Path, photograph: bytes, reason: str) -> None:
    archive(tmp_path, members() | {"JPEGImages/A.jpg": photograph})
    with pytest.raises(ValueError, match=f"A.jpg .*{reason}"):
        bccd.load("train", folder=tmp_path)[0]


BOMB = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("before", [BOMB, OUTSIDE, "<!DOCTYPE annotation>", '<?xml version="1.0"?><!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">'])
def test_a_document_type_is_refused(before: str) -> None:
    with pytest.raises(ValueError, match=r"here: x\.xml declares a document type"):
        bccd.read_voc(xml(before=before), "here: x.xml")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is no XML"),
        (b"<annotation>", "is no XML"),
        (b"<annotation>&b;</annotation>", "is no XML"),
        (b"<annotation/>", "has None for size/width"),
        (xml(("Neutrophil", 1, 1, 2, 2)), "class 'Neutrophil'; BCCD has RBC, WBC, Platelets"),
        (xml(("RBC", "", 1, 2, 2)), "has '' for bndbox/xmin"),
        (xml(("RBC", "nan", 1, 2, 2)), "has nan for bndbox/xmin"),
        (xml(("RBC", 1, 1, "1e99", 2)), "has 1e99 for bndbox/xmax"),
        (xml(("RBC", 5, 1, 4, 2)), "the box 5, 1, 4, 2 in an image of 64×48"),
        (xml(("RBC", 0, 1, 4, 2)), "the box 0, 1, 4, 2"),
        (xml(("RBC", 1, 1, 65, 2)), "the box 1, 1, 65, 2"),
        (xml(("RBC", 1, 1, 2, 49)), "the box 1, 1, 2, 49"),
    ],
)
def test_an_annotation_that_cannot_be_is_named(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError) as raised:
        bccd.read_voc(content, "x.xml")
    assert reason in str(raised.value) and "x.xml" in str(raised.value)


@given(data=st.data(), width=st.integers(2, 700), height=st.integers(2, 700))
def test_boxes_are_inside_with_an_area(data: st.DataObject, width: int, height: int) -> None:
    corners = st.tuples(st.integers(1, width), st.integers(1, height), st.integers(1, width), st.integers(1, height))
    things = [("RBC", min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in data.draw(st.lists(corners, max_size=5))]
    read = bccd.read_voc(xml(*things, width=width, height=height))
    assert read.boxes.shape == (len(read.labels), 4)
    assert len(read.labels) == sum(x1 < x2 and y1 < y2 for _, x1, y1, x2, y2 in things)
    assert (read.boxes[:, :2] >= 0).all() and (read.boxes[:, 2:] > read.boxes[:, :2]).all()
    assert (read.boxes[:, 2:] <= torch.tensor([width, height])).all()


def test_bccd_is_bccd(mirror: Path) -> None:
    parts = {part: bccd.load(part, allow_download=False) for part in ("train", "val", "test", "trainval")}  # type: ignore[arg-type]
    assert {part: len(cells) for part, cells in parts.items()} == {"train": 205, "val": 87, "test": 72, "trainval": 292}
    names = [set(parts[part].names) for part in ("train", "val", "test")]
    assert len(set.union(*names)) == 364  # no photograph stands in two parts
    assert set(parts["trainval"].names) == names[0] | names[1]
    labels = torch.cat([a.labels for part in ("trainval", "test") for a in parts[part].annotations])
    assert labels.bincount().tolist() == [4155 - 2, 372, 361]  # two boxes without an area are left out
    photograph = parts["val"][0]
    assert photograph.name == "BloodImage_00000" and photograph.image.shape == (3, 480, 640)
    assert photograph.boxes[0].tolist() == [259, 176, 491, 376] and int(photograph.labels[0]) == 1


def test_bccd_packed_anew_is_still_bccd_and_with_one_byte_changed_it_is_not(mirror: Path, tmp_path: Path) -> None:
    contents = bccd.read_archive(mirror / "bccd" / bccd.ARCHIVE)
    assert "contents as published" in bccd.SOURCE.files[0].check(archive(tmp_path, contents, "BCCD_Dataset-master/BCCD/", "w"))
    contents["ImageSets/Main/test.txt"] += b"BloodImage_00000\n"
    with pytest.raises(ChecksumError, match="of its contents"):
        bccd.SOURCE.files[0].check(archive(tmp_path, contents, mode="w"))
    (tmp_path / "no.tar.gz").write_bytes(b"<html>")
    with pytest.raises(ChecksumError, match="no whole tar archive"):
        bccd.SOURCE.files[0].check(tmp_path / "no.tar.gz")
