package org.parallelcomp.backend.host;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import org.parallelcomp.api.backend.FileRegion;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * All memory of one open backend. Tensors and scopes come in here: those of another backend, of
 * another session of the same one, or of a closed scope are refused with INTERNAL before anything
 * is read.
 */
public final class HostMemory implements AutoCloseable {
  /** Turns numbers of a model file into floats. */
  public interface Unpacker {
    /**
     * Unpacks whole blocks.
     *
     * @param dtype any type but I32
     * @param from the byte at which the first block starts
     * @param count how many numbers, a multiple of the type's block
     */
    void unpack(DType dtype, MemorySegment in, long from, int count, float[] out, int at);
  }

  private final String backend;
  private final Unpacker unpacker;
  private final HostMemoryScope root;

  /**
   * @param backend the word for the backend in messages: "The … backend"
   */
  public HostMemory(String backend, Unpacker unpacker) {
    this.backend = backend;
    this.unpacker = unpacker;
    this.root = new HostMemoryScope(this, "backend", null);
  }

  /** Returns the word for the backend in messages. */
  String backend() {
    return backend;
  }

  /** Opens a scope below the backend's. */
  public MemoryScope openScope(String name) {
    return root.child(name);
  }

  /** Returns a scope as this backend's own. */
  public HostMemoryScope scope(MemoryScope scope) {
    if (scope instanceof HostMemoryScope host && host.memory() == this) {
      return host;
    }
    throw new InferenceException(
        ErrorCode.INTERNAL,
        "The " + backend + " backend was given a scope of another backend or session.");
  }

  /** Returns a tensor as this backend's own, whose memory must be there still. */
  public HostTensor tensor(Tensor tensor) {
    if (tensor instanceof HostTensor host && host.owner().memory() == this) {
      if (!host.storage().scope().isAlive()) {
        throw new InferenceException(
            ErrorCode.INTERNAL,
            "A tensor " + host.dtype() + host.shape() + " is used after its scope was closed.");
      }
      return host;
    }
    throw new InferenceException(
        ErrorCode.INTERNAL,
        "The "
            + backend
            + " backend was given a tensor of another backend or session: "
            + tensor.getClass().getName()
            + ".");
  }

  /**
   * Maps a tensor of a file.
   *
   * @throws InferenceException CORRUPT_FILE if the region has another size than the tensor,
   *     FILE_NOT_READABLE if the file ends before it or cannot be mapped
   */
  public HostTensor load(MemoryScope scope, FileRegion region, DType dtype, Shape shape) {
    region.requireHolds(dtype, shape);
    HostMemoryScope owner = scope(scope);
    try {
      MemorySegment file = owner.map(region.file());
      MemorySegment storage = file.asSlice(region.offsetBytes(), region.sizeBytes());
      return new HostTensor(owner, storage, dtype, Layout.contiguous(shape));
    } catch (IOException | UncheckedIOException e) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE,
          "Cannot map " + region.file() + ": " + e.getMessage() + ".",
          e);
    }
  }

  /** Returns the rows of an F32 tensor. */
  public Rows floats(Tensor tensor) {
    return Rows.of(this, tensor, DType.F32);
  }

  /** Returns the rows of an I32 tensor. */
  public Rows ints(Tensor tensor) {
    return Rows.of(this, tensor, DType.I32);
  }

  /** Returns the rows of an F32 or I32 tensor, for operations that only move numbers. */
  public Rows any(Tensor tensor) {
    return Rows.of(this, tensor, tensor.dtype() == DType.I32 ? DType.I32 : DType.F32);
  }

  /** Returns the numbers of a tensor of any floating or block type, in row-major order. */
  public float[] numbers(Tensor source) {
    float[] numbers = new float[Math.toIntExact(source.shape().elements())];
    if (source.dtype() == DType.F32) {
      Rows rows = floats(source);
      for (int row = 0; row < rows.count(); row++) {
        rows.read(row, numbers, row * rows.length());
      }
      return numbers;
    }
    if (source.dtype() == DType.I32) {
      throw new InferenceException(
          ErrorCode.INTERNAL, "A tensor of whole numbers was asked for floats.");
    }
    unpack(tensor(source), 0, source.layout().offset(), numbers, 0);
    return numbers;
  }

  /**
   * Walks over the axes of a tensor of halves or blocks, whose innermost axis is gapless; returns
   * how many numbers are there behind it.
   */
  private int unpack(HostTensor source, int axis, long element, float[] numbers, int at) {
    int rank = source.shape().rank();
    if (axis >= rank - 1) {
      int length = rank == 0 ? 1 : source.shape().intDim(axis);
      long from = source.dtype().bytes(element);
      unpacker.unpack(source.dtype(), source.storage(), from, length, numbers, at);
      return at + length;
    }
    int end = at;
    for (long i = 0; i < source.shape().dim(axis); i++) {
      end = unpack(source, axis + 1, element + i * source.layout().stride(axis), numbers, end);
    }
    return end;
  }

  /** Frees everything. Closing twice is harmless. */
  @Override
  public void close() {
    root.close();
  }
}
