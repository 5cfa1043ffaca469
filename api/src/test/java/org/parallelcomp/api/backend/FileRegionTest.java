package org.parallelcomp.api.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;

class FileRegionTest {
  private static ErrorCode refusal(FileRegion region, DType dtype, Shape shape) {
    return assertThrows(InferenceException.class, () -> region.requireHolds(dtype, shape)).code();
  }

  @Test
  void whatCannotBeATensorIsRefused(@TempDir Path folder) throws IOException {
    Path file = Files.write(folder.resolve("weights"), new byte[100]);
    Shape shape = Shape.of(2, 8);
    new FileRegion(file, 36, 64).requireHolds(DType.F32, shape);
    new FileRegion(file, 0, 34).requireHolds(DType.Q8_0, Shape.of(1, 32));

    assertEquals(ErrorCode.CORRUPT_FILE, refusal(new FileRegion(file, 0, 60), DType.F32, shape));
    // As many numbers as one block holds, but in rows that cut it.
    assertEquals(
        ErrorCode.CORRUPT_FILE, refusal(new FileRegion(file, 0, 34), DType.Q8_0, Shape.of(2, 16)));
    assertEquals(
        ErrorCode.FILE_NOT_READABLE, refusal(new FileRegion(file, 37, 64), DType.F32, shape));
    Path missing = folder.resolve("missing");
    assertEquals(
        ErrorCode.FILE_NOT_READABLE, refusal(new FileRegion(missing, 0, 64), DType.F32, shape));
  }
}
