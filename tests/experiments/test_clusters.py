"""Environments of workers and SLURM's job script: one GPU and one thread each, and no watch on memory."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("distributed", reason="the dask extra is not installed")

from distributed import Scheduler, SpecCluster

from experiments import clusters
from experiments.clusters import find_gpus, slurm_cluster, worker_environment
from experiments.spec import UsageError

SLURM = {"queue": "gpu", "cores": 8, "memory": "16GB", "security": None, "host": "127.0.0.1"}


@pytest.mark.parametrize(
    ("workers", "cores", "devices"), [(1, 8, 8), (2, 8, 4), (8, 8, 1), (16, 8, 1), (3, 8, 2), (1, 1, 1)]
)
def test_workers_share_the_cores(workers, cores, devices):
    assert worker_environment(0, workers, cores)["JAX_NUM_CPU_DEVICES"] == str(devices)


def test_each_worker_sees_one_gpu_of_its_own():
    gpus = ["0", "2", "GPU-5f"]
    assert [worker_environment(i, 3, 8, gpus)["CUDA_VISIBLE_DEVICES"] for i in range(3)] == gpus
    assert "CUDA_VISIBLE_DEVICES" not in worker_environment(0, 3, 8)
    with pytest.raises(UsageError, match="workers must be <= 3, one for each GPU, got 4"):
        worker_environment(0, 4, 8, gpus)


def test_other_flags_are_kept_and_the_number_of_devices_is_ours():
    flags = "--xla_dump_to=/d --xla_force_host_platform_device_count=9 --xla_cpu_multi_thread_eigen=true"
    found = worker_environment(flags=flags)
    assert found["XLA_FLAGS"] == "--xla_dump_to=/d --xla_cpu_multi_thread_eigen=false --xla_cpu_prefer_vector_width=512"
    assert found["OPENBLAS_NUM_THREADS"] == found["OMP_NUM_THREADS"] == "1"


def test_jax_obeys_the_environment():
    """What the words do, in a process of its own."""
    code = "import jax; print(len(jax.devices()))"
    environment = {**os.environ, **worker_environment(0, 2, 6), "JAX_PLATFORMS": "cpu"}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout == "3\n"


def test_gpus_are_those_that_the_driver_lists(monkeypatch, tmp_path):
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: a)'\necho '  MIG 1g: b'\necho 'GPU 1: B (UUID: b)'\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert find_gpus({}) == ["0", "1"]
    assert find_gpus({"JAX_PLATFORMS": "cuda,cpu"}) == ["0", "1"]
    assert find_gpus({"CUDA_VISIBLE_DEVICES": "1, GPU-5f"}) == ["1", "GPU-5f"]
    assert find_gpus({"CUDA_VISIBLE_DEVICES": ""}) == []
    assert find_gpus({"JAX_PLATFORMS": "cpu"}) == []
    driver.unlink()
    monkeypatch.setattr(clusters.shutil, "which", lambda name: None)
    assert find_gpus({}) == []


@pytest.mark.parametrize("gpus", [0, 1])
def test_a_slurm_job_is_one_worker_with_its_environment(gpus):
    with slurm_cluster(**SLURM, gpus=gpus, account="me", walltime="01:30:00", lines=["module load cuda"]) as cluster:
        script = cluster.job_script()
        assert cluster.scheduler_address.startswith("tcp://127.0.0.1:")
        assert cluster.scheduler.allowed_failures == 3
    header = {line for line in script.splitlines() if line.startswith("#SBATCH")}
    assert {"#SBATCH -p gpu", "#SBATCH -A me", "#SBATCH --cpus-per-task=8", "#SBATCH --mem=15G",
            "#SBATCH -t 01:30:00"} <= header  # 16 GB are 14.9 GiB  # fmt: skip
    assert ("#SBATCH --gres=gpu:1" in header) == bool(gpus)
    shell = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert shell[0] == "module load cuda"
    assert shell[1:-1] == [
        "export XLA_FLAGS='--xla_cpu_multi_thread_eigen=false --xla_cpu_prefer_vector_width=512'",
        "export JAX_NUM_CPU_DEVICES=8", "export NPROC=8",
        "export OMP_NUM_THREADS=1", "export OPENBLAS_NUM_THREADS=1", "export MKL_NUM_THREADS=1",
    ]  # fmt: skip
    words = shell[-1].split()
    assert words[1:3] == ["-m", "distributed.cli.dask_worker"]
    last = {words[i]: words[i + 1] for i in range(len(words) - 1) if words[i].startswith("--")}
    assert (last["--nthreads"], last["--memory-limit"], last["--preload"]) == ("1", "0", "experiments.clusters")
    assert "--nanny" in words  # it starts a killed worker again; without a limit it kills none
    assert "--nworkers" not in words
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gpus": 2}, "gpus must be 0 or 1 for each job, got 2"),
        ({"cores": 0}, "cores must be >= 1, got 0"),
        ({"host": None}, "security must be given unless host is 127.0.0.1, got host None"),
        ({"host": "0.0.0.0"}, "security must be given unless host is 127.0.0.1, got host 0.0.0.0"),
        ({"host": "node1"}, "security must be given unless host is 127.0.0.1, got host node1"),
    ],
)
def test_a_slurm_cluster_says_what_is_wrong(changes, message):
    with pytest.raises(UsageError, match=message.replace(".", r"\.")):
        slurm_cluster(**{**SLURM, **changes})


def test_a_scheduler_without_workers_is_one_line(monkeypatch):
    monkeypatch.setattr(clusters, "JOIN_SECONDS", 0.5)
    with (
        SpecCluster(scheduler={"cls": Scheduler, "options": {"host": "127.0.0.1", **clusters.SCHEDULER}}) as cluster,
        pytest.raises(UsageError, match=r"^scheduler must have workers, got none at tcp://127\.0\.0\.1:\d+ in 0\.5 s$"),
        clusters.dask_engine(cluster.scheduler_address),
    ):
        pass
