"""BCCD: 364 photographs of blood under the microscope, with a box around each cell and platelet; small and real.

Shapes: an image is uint8 (3, 480, 640), RGB. Its boxes are float32 (M, 4): x1, y1, x2, y2 in pixels, the edges of the
box, so that 0 ≤ x1 < x2 ≤ 640 and width is x2 − x1; labels are int64 (M,), indices into `CLASSES`. There are 4,153 red
cells, 372 white cells and 361 platelets: detection where one class outnumbers each of the others eleven to one.

The annotations are VOC XML (Everingham et al. 2010, The PASCAL Visual Object Classes Challenge), which counts pixels
from 1 and includes the last one. The box of pixels 1..640 has the edges 0 and 640, so x1 and y1 lose one and x2 and y2
stay. Two more boxes of red cells have no area (one in image 338, one in 343); they are left out, as their log-width would
be −∞.

The published split is by image and read from its own lists: 205 train, 87 val, 72 test. Neighbouring numbers may be
neighbouring fields of one smear; nothing says which, so no finer grouping can be made.

Archives are read in place and nothing is unpacked to the disk: a member called ``../../x`` is passed by like any other
name that is not of the set. The XML reader refuses a document type, and with it entities that grow (the "billion
laughs") or that read files. GitHub packs the published archive on request, so its bytes have no digest one could rely
on; what is pinned is the digest of its contents (`viva.data.sources.digest_of_members`), computed from a copy of the
repository. Should the repository ever change, the download is refused and the message says so.
"""

from __future__ import annotations

import io
import re
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from viva.data.sources import File, Source, digest_of_members
from viva.language import Text

CLASSES = ("RBC", "WBC", "Platelets")
Part = Literal["train", "val", "trainval", "test"]
ARCHIVE = "BCCD.tar.gz"
MEMBER = re.compile(r"(?:\./)?(?:\w[^/]*/)?BCCD/((?:Annotations|JPEGImages|ImageSets/Main)/\w+\.(?:xml|jpg|txt))")
LARGEST_MEMBER = 4 << 20  # bytes; the largest of the set has 30 KB
LARGEST_SET = 64 << 20  # bytes of all members together; the set has 9 MB


def read_archive(path: str | Path) -> dict[str, bytes]:
    """The annotations, photographs and lists in a ``.tar`` or ``.tar.gz``: name below ``BCCD/`` → content.

    Raises:
        ValueError: it is no whole archive, or too large to be BCCD.
    """
    members: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                known = MEMBER.fullmatch(member.name)
                if not known or not member.isreg():
                    continue
                total += member.size
                if member.size > LARGEST_MEMBER or total > LARGEST_SET:
                    raise ValueError(f"{path} is not BCCD: {member.name} has {member.size} bytes, {total} with those before it.")
                file = archive.extractfile(member)
                members[known[1]] = file.read() if file else b""
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise ValueError(f"{path} is no whole tar archive ({error}); fetch it again.") from error
    if not members:
        raise ValueError(f"{path} has no BCCD/Annotations, BCCD/JPEGImages or BCCD/ImageSets/Main in it.")
    return members


def _contents(path: Path) -> str:
    return digest_of_members(read_archive(path).items())


SOURCE = Source(
    name="bccd",
    folder="bccd",
    what=Text(ko="혈액 세포 사진 364장, 세 종류의 상자", en="364 photographs of blood cells, boxes of three classes"),
    licence="MIT (Shenggan)",
    home="https://github.com/Shenggan/BCCD_Dataset",
    files=(
        File(
            ARCHIVE,
            ("https://github.com/Shenggan/BCCD_Dataset/archive/refs/heads/master.tar.gz",),
            {"d4553729a07af71cad815b4d8b4615978680d7c85fc05689d2afe4e866bfe89a": "contents as published"},
            about=7_400_000,
            contents=_contents,
            contents_sha256="59eb0d826c422ae58c4c46f2dac8de1af80c371950dbf0593d8aeb0c8f74f265",
        ),
    ),
)


@dataclass(frozen=True)
class Photograph:
    """One image and its boxes.

    Args:
        name: such as "BloodImage_00000".
        image: uint8 (3, H, W), RGB.
        boxes: float32 (M, 4), x1 y1 x2 y2 in pixels.
        labels: int64 (M,), indices into `CLASSES`.
    """

    name: str
    image: Tensor
    boxes: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Annotation:
    """What an XML file says: image size in pixels and the boxes, as in `Photograph`."""

    width: int
    height: int
    boxes: Tensor
    labels: Tensor


class BloodCells:
    """A map-style data set of `Photograph`; JPEGs stay packed (7 MB) until one is asked for."""

    def __init__(self, members: dict[str, bytes], names: list[str], origin: str = "BCCD") -> None:
        self.names = names
        self.annotations: list[Annotation] = []
        self._photographs: list[bytes] = []
        for name in names:
            try:
                annotation, photograph = members[f"Annotations/{name}.xml"], members[f"JPEGImages/{name}.jpg"]
            except KeyError as error:
                raise ValueError(f"{origin} lists {name} and has no {error.args[0]}.") from None
            self.annotations.append(read_voc(annotation, f"{origin}: Annotations/{name}.xml"))
            self._photographs.append(photograph)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Photograph:
        name, annotation = self.names[index], self.annotations[index]
        try:
            with Image.open(io.BytesIO(self._photographs[index]), formats=("JPEG",)) as file:
                if file.size != (annotation.width, annotation.height):
                    raise ValueError(
                        f"{name}.jpg has {file.width}×{file.height} pixels and its annotation says "
                        f"{annotation.width}×{annotation.height}."
                    )
                pixels = np.array(file.convert("RGB"))  # (H, W, 3)
        except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"{name}.jpg is no whole JPEG ({error}).") from error
        image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()  # (3, H, W)
        return Photograph(name, image, annotation.boxes, annotation.labels)


def load(part: Part = "train", *, folder: str | Path | None = None, allow_download: bool = True) -> BloodCells:
    """One part of BCCD.

    Args:
        part: "train" (205), "val" (87), "trainval" (292) or "test" (72).
        folder: read ``BCCD.tar.gz`` from here, whatever its checksum.
        allow_download: False raises where the set is not on this machine.

    Raises:
        ValueError: another part, or an archive that is not BCCD.
        ChecksumError, DownloadError, MissingData: see `viva.data.sources.Source.open`.
    """
    if part not in ("train", "val", "trainval", "test"):
        raise ValueError(f"BCCD has the parts 'train', 'val', 'trainval' and 'test'; there is no {part!r}.")
    path = SOURCE.open(ARCHIVE, folder=folder, allow_download=allow_download)
    members = read_archive(path)
    listed = members.get(f"ImageSets/Main/{part}.txt")
    if listed is None:
        raise ValueError(f"{path} has no ImageSets/Main/{part}.txt.")
    return BloodCells(members, listed.decode("utf-8").split(), str(path))


def read_voc(content: bytes, origin: str = "the annotation") -> Annotation:
    """The boxes in a VOC XML file; see the module for how its pixels become edges.

    Raises:
        ValueError: no such file, a class or number that cannot be, or a document type; the message names ``origin``.
    """
    root = _parse(content, origin)

    def number(element: Element, path: str) -> float:
        text = element.findtext(path)
        try:
            value = float(text)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise ValueError(f"{origin} has {text!r} for {path}, expected a number.") from None
        if not abs(value) < 1e6:
            raise ValueError(f"{origin} has {text} for {path}, which no image has.")
        return value

    width, height = int(number(root, "size/width")), int(number(root, "size/height"))
    boxes: list[list[float]] = []
    labels: list[int] = []
    for thing in root.findall("object"):
        name = (thing.findtext("name") or "").strip()
        if name not in CLASSES:
            raise ValueError(f"{origin} has the class {name!r}; BCCD has {', '.join(CLASSES)}.")
        x1, y1, x2, y2 = (number(thing, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax"))
        if x1 > x2 or y1 > y2 or x1 < 1 or y1 < 1 or x2 > width or y2 > height:
            raise ValueError(f"{origin} has the box {x1:g}, {y1:g}, {x2:g}, {y2:g} in an image of {width}×{height} pixels.")
        if x1 == x2 or y1 == y2:
            continue  # drawn with one click
        boxes.append([x1 - 1, y1 - 1, x2, y2])
        labels.append(CLASSES.index(name))
    return Annotation(
        width, height,
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.int64),
    )  # fmt: skip


def _parse(content: bytes, origin: str) -> Element:
    """The document's root; a document type, and so every entity of its own, is refused as soon as it begins."""

    def refuse(*_: object) -> None:
        raise ValueError(f"{origin} declares a document type, which an annotation has no use for; it is not read.")

    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise ValueError(f"{origin} is no XML ({error}).") from error
    return builder.close()
