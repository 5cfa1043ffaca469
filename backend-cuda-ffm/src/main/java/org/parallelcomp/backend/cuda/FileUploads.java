package org.parallelcomp.backend.cuda;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.StandardOpenOption;
import org.parallelcomp.api.backend.FileRegion;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.backend.cuda.ffi.CudaEvent;
import org.parallelcomp.backend.cuda.ffi.CudaStream;
import org.parallelcomp.backend.cuda.ffi.PinnedMemory;

/**
 * Reads parts of files into pinned memory and copies them to the device in a stream of their own:
 * while one buffer is copied, the other is read into.
 */
final class FileUploads implements AutoCloseable {
  private static final long BUFFER_BYTES = 16L << 20;

  private record Buffer(PinnedMemory memory, CudaEvent copied) {}

  private final CudaStream compute;
  private final CudaStream uploads;
  private final CudaEvent allocated;
  private final CudaEvent arrived;
  private final Buffer[] buffers = new Buffer[2];
  private int next;

  FileUploads(CudaRuntime runtime) {
    this.compute = runtime.stream();
    this.uploads = CudaStream.create(runtime.context());
    this.allocated = CudaEvent.create(runtime.context(), false);
    this.arrived = CudaEvent.create(runtime.context(), false);
  }

  /** Copies a region to the device. The compute stream waits for it, the caller does not. */
  synchronized void upload(FileRegion region, long target) {
    try (FileChannel channel = FileChannel.open(region.file(), StandardOpenOption.READ)) {
      // The memory may have been another tensor's until work that is still in the stream.
      allocated.record(compute);
      uploads.waitFor(allocated);
      for (long done = 0; done < region.sizeBytes(); ) {
        Buffer buffer = nextBuffer();
        buffer.copied.synchronize();
        long part = Math.min(BUFFER_BYTES, region.sizeBytes() - done);
        MemorySegment bytes = buffer.memory.segment().asSlice(0, part);
        readFully(channel, region, done, bytes.asByteBuffer());
        uploads.upload(target + done, bytes);
        buffer.copied.record(uploads);
        done += part;
      }
      arrived.record(uploads);
      compute.waitFor(arrived);
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE, "Cannot read " + region.file() + ": " + e + ".", e);
    }
  }

  private Buffer nextBuffer() {
    next = (next + 1) % buffers.length;
    if (buffers[next] == null) {
      buffers[next] =
          new Buffer(
              PinnedMemory.allocate(compute.context(), BUFFER_BYTES),
              CudaEvent.create(compute.context(), false));
    }
    return buffers[next];
  }

  private static void readFully(
      FileChannel channel, FileRegion region, long from, ByteBuffer target) throws IOException {
    while (target.hasRemaining()) {
      int read = channel.read(target, region.offsetBytes() + from + target.position());
      if (read < 0) {
        throw new IOException("it became shorter while it was read");
      }
    }
  }

  @Override
  public synchronized void close() {
    uploads.synchronize();
    for (Buffer buffer : buffers) {
      if (buffer != null) {
        buffer.memory.close();
        buffer.copied.close();
      }
    }
    allocated.close();
    arrived.close();
    uploads.close();
  }
}
