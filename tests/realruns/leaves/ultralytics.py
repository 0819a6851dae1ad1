"""A training on ten pictures, a validation, a prediction and an export."""

from pathlib import Path

import numpy
from PIL import Image
from ultralytics import YOLO

for part in ("train", "val"):
    for number in range(4):
        picture, label = (Path("set", kind, part) for kind in ("images", "labels"))
        picture.mkdir(parents=True, exist_ok=True)
        label.mkdir(parents=True, exist_ok=True)
        pixels = numpy.random.default_rng(number).integers(0, 255, (64, 64, 3), "uint8")
        Image.fromarray(pixels).save(picture / f"{number}.png")
        (label / f"{number}.txt").write_text("0 0.5 0.5 0.4 0.4\n")
Path("set.yaml").write_text(
    f"path: {Path('set').resolve()}\ntrain: images/train\nval: images/val\nnames: [thing]\n"
)
model = YOLO("yolov8n.yaml")
options = {"data": "set.yaml", "imgsz": 64, "device": "cpu"}
model.train(epochs=1, batch=2, workers=0, plots=True, amp=False, **options)
model.train(epochs=1, batch=2, workers=0, project="mine", name="first", amp=False, **options)
model = YOLO("runs/detect/train/weights/best.pt")
model.val(workers=0, **options)
model.predict("set/images/val", save=True, imgsz=64)
model.export(format="torchscript", imgsz=64)
