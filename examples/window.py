"""A window that shows a camera or video with a verdict beside each face: python examples/window.py [CAMERA OR FILE]"""

import sys
import threading
import tkinter
from collections import deque

import cv2

from tinydf_runtime import Analyzer, FrameResult, Image, Limits, TinyDFError

COLOURS = {"real": (200, 120, 31), "inconclusive": (0, 138, 192), "fake": (15, 72, 217)}
"""Blue, amber and vermilion, BGR: those of the report page and of drawn videos."""
REFRESH_MS = 30
WIDTH_PX = 960


def watch(source: str | int, news: "deque[FrameResult | str]", stop: threading.Event) -> None:
    """Hands the newest result, and at last why the stream ended, to the window."""
    try:
        with Analyzer() as analyzer:
            for result in analyzer.stream(source, limits=Limits(stop=stop)):
                news.append(result)
        news.append("ended")
    except TinyDFError as error:
        news.append(str(error))


def draw(result: FrameResult) -> Image:
    """Returns the frame, at the window's width, with a box and a verdict for each face."""
    scale = WIDTH_PX / result.frame.image.shape[1]
    image = cv2.resize(result.frame.image, None, fx=scale, fy=scale)
    for face in result.faces:
        left, top, right, bottom = (round(value * scale) for value in face.face.box_xyxy)
        colour = COLOURS[face.verdict.label]
        cv2.rectangle(image, (left, top), (right, bottom), colour, 2)
        cv2.putText(image, face.verdict.label, (left, max(top - 8, 20)), cv2.FONT_HERSHEY_SIMPLEX, 0.8, colour, 2)
    return image.astype("uint8", copy=False)


def show(root: tkinter.Tk, source: str | int) -> None:
    """Fills a window and keeps it up to date until it is closed."""
    picture = tkinter.Label(root, name="picture")
    line = tkinter.Label(root, name="line", text="opening ...")
    picture.pack()
    line.pack()
    news: deque[FrameResult | str] = deque(maxlen=1)
    stop = threading.Event()
    worker = threading.Thread(target=watch, args=(source, news, stop))
    # Tk does not hold its own pictures.
    held: list[tkinter.PhotoImage] = []

    def refresh() -> None:
        item = news.popleft() if news else None
        if isinstance(item, str):
            line.configure(text=item)
            return
        if item is not None:
            ppm = cv2.imencode(".ppm", draw(item))[1].tobytes()
            held[:] = [tkinter.PhotoImage(master=root, data=ppm, format="ppm")]
            picture.configure(image=held[0])
            people = [f"person {face.track}: {face.verdict.label} {face.fake_probability:.0%}" for face in item.faces]
            line.configure(text=", ".join(people) or "no face")
        root.after(REFRESH_MS, refresh)

    def close() -> None:
        stop.set()
        worker.join()
        root.destroy()

    root.protocol("WM_DELETE_WINDOW", close)
    worker.start()
    refresh()


if __name__ == "__main__":
    window = tkinter.Tk()
    window.title("TinyDF")
    name = sys.argv[1] if len(sys.argv) > 1 else "0"
    show(window, int(name) if name.isdecimal() else name)
    window.mainloop()
