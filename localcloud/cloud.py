"""What the parts of the running account share."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from localcloud.addresses import AddressPool
from localcloud.base_layer import BaseLayer
from localcloud.credentials import InstanceCredentials
from localcloud.faults import Faults
from localcloud.host_network import HostNetwork
from localcloud.paths import RunDir
from localcloud.root_disks import RootDisks
from localcloud.volumes import VolumeStore

log = logging.getLogger("localcloud")


class Cloud:
    """The one running account.

    Attributes:
        lock: held while moto's objects are read or changed. moto's backends are plain dictionaries and
            know nothing of threads: every API call and every background job takes this lock, and none
            holds it while it waits for a process that takes long.
        jobs: background work that belongs to no single instance.
    """

    def __init__(self, run: RunDir, base: BaseLayer) -> None:
        """Set up the shared parts; nothing but the account's folder is changed yet.

        Args:
            run: the account's folder.
            base: what is behind the public Debian AMI.
        """
        self.run = run
        self.base = base
        self.lock = threading.RLock()
        self.jobs = ThreadPoolExecutor(8, thread_name_prefix="job")
        self.network = HostNetwork()
        self.volumes = VolumeStore(run.volumes)
        self.root_disks = RootDisks(run.root_disks, base.root)
        self.faults = Faults()
        self.credentials = InstanceCredentials()
        self.public_addresses = AddressPool()

    def submit(self, job: Callable[[], object]) -> None:
        """Do something in the background; what it raises goes to the log."""
        self.jobs.submit(logged, job)


def logged(job: Callable[[], object]) -> None:
    """Run a background job; an exception ends in the log instead of nowhere."""
    try:
        job()
    except Exception:
        log.exception("background job failed")
