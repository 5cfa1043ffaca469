package org.parallelcomp.backend.cuda;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.backend.cuda.ffi.CudaEvent;
import org.parallelcomp.backend.cuda.ffi.CudaStream;
import org.parallelcomp.backend.cuda.ffi.PinnedMemory;

/**
 * Copies from another device to this one through pinned memory of the host, piece by piece: while
 * one piece goes up, the next comes down. That is as fast as the bus, and needs no devices that
 * reach each other. The caller waits for nothing but a free piece.
 */
final class DeviceTransfers implements AutoCloseable {
  private static final long PIECE_BYTES = 4L << 20;
  private static final int PIECES = 4;

  private record Piece(PinnedMemory memory, CudaEvent sent) {}

  private final CudaStream stream;
  private final @Nullable Piece[] pieces = new Piece[PIECES];
  private int next;

  DeviceTransfers(CudaStream stream) {
    this.stream = stream;
  }

  /**
   * Copies bytes in the order of both streams.
   *
   * @param target an address on this device
   * @param there the other device's stream
   * @param source an address on the other device
   */
  synchronized void copy(long target, CudaStream there, long source, long bytes) {
    for (long done = 0; done < bytes; done += PIECE_BYTES) {
      long part = Math.min(PIECE_BYTES, bytes - done);
      Piece piece = free();
      MemorySegment host = piece.memory.segment().asSlice(0, part);
      try (CudaEvent arrived = CudaEvent.create(there.context(), false)) {
        there.downloadLater(host, source + done);
        arrived.record(there);
        stream.waitFor(arrived);
      }
      stream.upload(target + done, host);
      piece.sent.record(stream);
    }
  }

  /** Returns the next piece, once what it held last has gone up. */
  private Piece free() {
    next = (next + 1) % PIECES;
    Piece piece = pieces[next];
    if (piece == null) {
      piece =
          new Piece(
              PinnedMemory.allocate(stream.context(), PIECE_BYTES),
              CudaEvent.create(stream.context(), false));
      pieces[next] = piece;
    } else {
      piece.sent.synchronize();
    }
    return piece;
  }

  @Override
  public synchronized void close() {
    for (Piece piece : pieces) {
      if (piece != null) {
        piece.sent.synchronize();
        piece.sent.close();
        piece.memory.close();
      }
    }
  }
}
