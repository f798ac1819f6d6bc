"""A real S3 protocol server on loopback that fails when it is told to."""
import contextlib
import logging
import os
import random
import threading
import time

ENVIRONMENT = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "test")
ENVIRONMENT |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}


class Faults:
    """WSGI middleware: answers a share of the requests for objects with 500, with silence, or not at all."""

    def __init__(self, app, seed=0):
        self.app, self.share, self.dice, self.count, self.silence = app, 0.0, random.Random(seed), 0, 2.0

    def __call__(self, environ, start_response):
        if self.dice.random() < self.share:
            self.count += 1
            if self.count % 3 == 0: time.sleep(self.silence)
            start_response("500 Internal Server Error", [("Content-Type", "application/xml")])
            return [b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"]
        return self.app(environ, start_response)


@contextlib.contextmanager
def s3_server(timeout=1):
    """Yield the faults of a server; the environment of this process and its children names it."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    faults = Faults(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, faults, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    options = f'{{"endpoint_url": "{address}", "config_kwargs": {{"read_timeout": {timeout}, "connect_timeout": {timeout}}}}}'
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT | {"AWS_ENDPOINT_URL": address, "FSSPEC_S3": options})
    try:
        import fsspec
        fsspec.config.set_conf_env(fsspec.config.conf)
        yield faults
    finally:
        os.environ.clear()
        os.environ.update(before)
        fsspec.config.conf.pop("s3", None)
        server.shutdown()
