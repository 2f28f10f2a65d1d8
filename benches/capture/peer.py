"""A peer that watches a camera as Frigate does: every frame decoded by ffmpeg into a pipe, motion on the whole frame,
colours of the whole frame, an int8 network on the crop. What else Frigate does (tracking, recording, passing frames
between processes) is left out, so its real cost is higher.

    peer.py URL WIDTH HEIGHT FPS X1,Y1,X2,Y2
"""

import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

MODEL = os.environ["AJAR_PEER_MODEL"]
# Frigate's defaults, of docs.frigate.video: motion.threshold, frame_height, frame_alpha, contour_area.
THRESHOLD, MOTION_HEIGHT, ALPHA, CONTOUR_AREA = 30, 100, 0.01, 10
# Looks: a second apart on motion, and every ten seconds anyway, as the watches beside it.
ON_MOTION, INTERVAL = 1.0, 10.0


class Motion:
    """Frigate's `improved_motion`, without its masks: blurred luma against a running average, dilated, contours."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width * MOTION_HEIGHT // height, MOTION_HEIGHT)
        self.average = np.zeros((self.size[1], self.size[0]), np.float32)

    def detect(self, luma: np.ndarray) -> bool:
        small = cv2.resize(luma, self.size, interpolation=cv2.INTER_NEAREST)
        low, high = np.percentile(small, 4), np.percentile(small, 96)
        small = np.clip((small.astype(np.float32) - low) / max(high - low, 1.0) * 255, 0, 255).astype(np.uint8)
        small = cv2.GaussianBlur(small, (3, 3), 1)
        difference = cv2.absdiff(small, cv2.convertScaleAbs(self.average))
        mask = cv2.threshold(difference, THRESHOLD, 255, cv2.THRESH_BINARY)[1]
        mask = cv2.dilate(mask, None, iterations=1)
        contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        cv2.accumulateWeighted(small, self.average, ALPHA)
        return any(cv2.contourArea(contour) > CONTOUR_AREA for contour in contours)


def main() -> None:
    url, width, height, fps = sys.argv[1], *map(int, sys.argv[2:5])
    x1, y1, x2, y2 = map(float, sys.argv[5].split(","))
    # Frigate's input and output arguments for an RTSP camera.
    command = [
        "ffmpeg", "-hide_banner", "-loglevel", "warning", "-threads", "2", "-avoid_negative_ts", "make_zero",
        "-fflags", "+genpts+discardcorrupt", "-rtsp_transport", "tcp", "-use_wallclock_as_timestamps", "1",
        "-i", url, "-r", str(fps), "-vf", f"fps={fps},scale={width}:{height}", "-threads", "2",
        "-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:",
    ]  # fmt: skip
    decoder = subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0)
    signal.signal(signal.SIGTERM, lambda *_: (decoder.kill(), sys.exit(0)))
    cv2.setNumThreads(2)
    network = Interpreter(MODEL, num_threads=2)
    network.allocate_tensors()
    place = network.get_input_details()[0]
    motion, looked = Motion(width, height), 0.0
    size = width * height * 3 // 2
    frame = np.empty(size, np.uint8)
    while True:
        view, got = memoryview(frame), 0
        while got < size:
            read = decoder.stdout.readinto(view[got:])
            if not read:
                sys.exit("the stream ended")
            got += read
        planes = frame.reshape(height * 3 // 2, width)
        moving = motion.detect(planes[:height])
        now = time.monotonic()
        if now - looked >= INTERVAL or (moving and now - looked >= ON_MOTION):
            looked = now
            colour = cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420)
            crop = colour[int(y1 * height) : int(y2 * height), int(x1 * width) : int(x2 * width)]
            crop = cv2.resize(crop, place["shape"][1:3][::-1])
            network.set_tensor(place["index"], crop[None].astype(place["dtype"]))
            network.invoke()


main()
