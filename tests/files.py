"""Pictures as files, and what another program finds in them."""
import io

import srfast
from PIL import Image


def encoded(img, kind="PNG", **options):
    file = io.BytesIO()
    img.save(file, kind, **options)
    return file.getvalue()


def written(img, path):
    """The picture as another program finds it in the file."""
    with Image.open(srfast.write_img(img, path)) as found:
        found.load()
        return found
