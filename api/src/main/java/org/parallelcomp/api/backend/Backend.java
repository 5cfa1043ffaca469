package org.parallelcomp.api.backend;

import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * An open backend: memory, transfers and four families of operations.
 *
 * <p>Dimension words used throughout: {@code layers, queryHeads, kvHeads, tokens, headDim,
 * hiddenDim, vocab, sequences}. Operations write to the tensors given first, read the others, and
 * must not be called with tensors of another backend. Calls from several threads are safe as long
 * as no tensor is written by one while another uses it.
 *
 * <p>Use of a closed backend or scope, or of a tensor whose scope is closed, is refused with
 * INTERNAL; arguments that do not fit one another with INTERNAL or INVALID_ARGUMENT, and then
 * nothing was written. All that a backend must do stands as numbered rules in {@code
 * docs/spec/backend.md}, which the conformance kit tests.
 */
public interface Backend extends AutoCloseable {
  /** Returns facts about the device; memory figures are of this moment. */
  BackendInfo info();

  /** Returns whether a call would be served. What is not supported must throw UNSUPPORTED. */
  boolean supports(OpCall call);

  /** Opens a scope below the backend's own. */
  MemoryScope openScope(String name);

  /**
   * Returns a read-only tensor over bytes of a file, which stay mapped or uploaded until the scope
   * closes. Backends that can compute on the file's bytes must not copy them.
   *
   * @throws org.parallelcomp.api.error.InferenceException FILE_NOT_READABLE if the file is shorter
   *     than the region or cannot be mapped, CORRUPT_FILE if the region is not of the size that the
   *     shape needs
   */
  Tensor load(MemoryScope scope, FileRegion region, DType dtype, Shape shape);

  /** Returns the transfers between host and backend. */
  HostTransfer host();

  /** Returns the tensor operations that policies use; results are allocated in the given scope. */
  TensorOps tensorOps(MemoryScope results);

  /** Returns the operations of the decoder layers. */
  DecoderOps decoder();

  /** Returns the attention operations. */
  AttentionOps attention();

  /** Returns the operations on key-value caches. */
  CacheOps cache();

  /** Frees everything. Closing twice is harmless. */
  @Override
  void close();
}
