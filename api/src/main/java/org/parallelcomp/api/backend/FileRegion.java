package org.parallelcomp.api.backend;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;

/**
 * A range of bytes in a file, for a backend to map, upload or hand on as it sees fit.
 *
 * @param file the file
 * @param offsetBytes the first byte
 * @param sizeBytes the number of bytes
 */
public record FileRegion(Path file, long offsetBytes, long sizeBytes) {
  /**
   * Refuses a region that cannot be a tensor.
   *
   * @throws InferenceException CORRUPT_FILE if it is not of the size that the shape needs,
   *     FILE_NOT_READABLE if the file is missing or ends before the region does
   */
  public void requireHolds(DType dtype, Shape shape) {
    long rowLength = shape.rank() == 0 ? 1 : shape.dim(-1);
    if (rowLength % dtype.blockElements() != 0 || sizeBytes != dtype.bytes(shape.elements())) {
      throw new InferenceException(
          ErrorCode.CORRUPT_FILE,
          sizeBytes + " bytes of " + file + " do not hold a tensor " + dtype + shape + ".");
    }
    long fileBytes;
    try {
      fileBytes = Files.size(file);
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE, "The file " + file + " cannot be read.", e);
    }
    if (offsetBytes < 0 || offsetBytes > fileBytes - sizeBytes) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE,
          "The file "
              + file
              + " has "
              + fileBytes
              + " bytes; a tensor in it needs "
              + sizeBytes
              + " from "
              + offsetBytes
              + " on.");
    }
  }
}
