package org.parallelcomp.backend.cpu.vector;

import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.backend.cpu.vector.simd.MassAttention;
import org.parallelcomp.backend.cpu.vector.simd.PanelMatmul;
import org.parallelcomp.backend.cpu.vector.simd.RowAttention;
import org.parallelcomp.backend.cpu.vector.simd.SpinningWorkers;
import org.parallelcomp.backend.cpu.vector.simd.TiledAttention;
import org.parallelcomp.backend.cpu.vector.simd.VectorMatmul;
import org.parallelcomp.backend.cpu.vector.simd.WeightMatrix;
import org.parallelcomp.backend.cpu.vector.simd.Workers;
import org.parallelcomp.backend.host.HostMemory;
import org.parallelcomp.backend.host.HostTensor;

/**
 * The worker threads, and the kernels with their scratch, of one backend. The scratch serves one
 * operation at a time, so each operation holds the lock from beginning to end.
 */
final class CpuKernels implements AutoCloseable {
  /** Rows of a task of a row-wise operation: some 10 microseconds of work. */
  static final int TASK_ROWS = 32;

  final HostMemory memory;
  private final SpinningWorkers workers;
  private final ReentrantLock lock = new ReentrantLock(true);
  private final float[][][] scratch;
  final TiledAttention tiledAttention;
  final RowAttention rowAttention;
  final MassAttention massAttention;
  final PanelMatmul.Scratch panelScratch;
  final VectorMatmul.Scratch vectorScratch;
  private boolean closed;

  CpuKernels(HostMemory memory, int threads) {
    this.memory = memory;
    workers = new SpinningWorkers(threads);
    scratch = new float[threads][4][0];
    tiledAttention = new TiledAttention(workers);
    rowAttention = new RowAttention(workers);
    massAttention = new MassAttention(workers);
    panelScratch = new PanelMatmul.Scratch(threads);
    vectorScratch = new VectorMatmul.Scratch(threads);
  }

  /** Returns the workers, for callers that hold the lock. */
  Workers workers() {
    return workers;
  }

  /** Runs an operation alone. */
  void alone(Runnable operation) {
    lock.lock();
    try {
      if (closed) {
        throw new InferenceException(ErrorCode.INTERNAL, "The CPU backend is closed.");
      }
      operation.run();
    } finally {
      lock.unlock();
    }
  }

  /** Returns a buffer of one worker, of undefined contents; it lasts until asked for again. */
  float[] scratch(int worker, int which, int length) {
    if (scratch[worker][which].length < length) {
      scratch[worker][which] = new float[length];
    }
    return scratch[worker][which];
  }

  /** One task of a row-wise operation. */
  interface RowBody {
    void run(long from, long to, int worker);
  }

  /** Runs a row-wise operation in tasks of some rows each; a single task stays with the caller. */
  void forRows(long rows, RowBody body) {
    if (rows <= TASK_ROWS) {
      body.run(0, rows, 0);
      return;
    }
    workers.run(
        Math.toIntExact(Math.ceilDiv(rows, TASK_ROWS)),
        (task, worker) -> {
          long from = (long) task * TASK_ROWS;
          body.run(from, Math.min(from + TASK_ROWS, rows), worker);
        });
  }

  /** Returns a weight tensor of two axes as the kernels see it. */
  WeightMatrix matrix(Tensor weight) {
    HostTensor host = memory.tensor(weight);
    if (weight.dtype() == DType.I32
        || weight.shape().rank() != 2
        || !weight.layout().isContiguous()) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_OPERATION,
          "The CPU backend needs a weight matrix without gaps, not "
              + weight.dtype()
              + weight.layout()
              + ".");
    }
    return new WeightMatrix(
        host.storage(),
        host.startByte(),
        weight.dtype(),
        weight.shape().intDim(0),
        weight.shape().intDim(1));
  }

  /** Returns a vector of weights, or null for null. */
  float @Nullable [] vector(@Nullable Tensor weights) {
    return weights == null ? null : memory.numbers(weights);
  }

  /** Waits for the running operation and ends the workers. Closing twice is harmless. */
  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      workers.close();
    } finally {
      lock.unlock();
    }
  }
}
