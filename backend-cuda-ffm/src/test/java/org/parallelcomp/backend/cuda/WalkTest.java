package org.parallelcomp.backend.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.Layout;
import org.parallelcomp.api.tensor.Shape;

class WalkTest {
  @Test
  void aGaplessTensorHasOneAxis() {
    Layout layout = Layout.contiguous(Shape.of(3, 1, 5, 7));
    Walk walk = Walk.over(layout.shape(), Walk.strides(layout));
    assertEquals(1, walk.axes());
    assertEquals(105, walk.extent(0));
    assertEquals(1, walk.stride(0, 0));
  }

  @Test
  void anAxisThatOneOperandRepeatsStaysApart() {
    Shape shape = Shape.of(4, 3, 5);
    Walk walk =
        Walk.over(
            shape,
            Walk.broadcast(Layout.contiguous(shape), shape),
            Walk.broadcast(Layout.contiguous(Shape.of(3, 1)), shape));
    // The second operand is repeated along the first and the last axis.
    assertEquals(3, walk.axes());
    assertEquals(0, walk.stride(1, 0));
    assertEquals(1, walk.stride(1, 1));
    assertEquals(0, walk.stride(1, 2));
  }

  /** Walks as the kernels do and compares with the layout's own offsets. */
  @Test
  void findsEveryElementOfAView() {
    Layout layout = Layout.contiguous(Shape.of(4, 5, 6)).slice(1, 1, 4).slice(2, 2, 5);
    Walk walk = Walk.over(layout.shape(), Walk.strides(layout));
    long index = 0;
    for (int i = 0; i < 4; i++) {
      for (int j = 0; j < 3; j++) {
        for (int k = 0; k < 3; k++) {
          assertEquals(layout.offset(i, j, k) - layout.offset(), offset(walk, index++));
        }
      }
    }
  }

  private static long offset(Walk walk, long index) {
    long rest = index;
    long offset = 0;
    for (int axis = walk.axes() - 1; axis >= 0; axis--) {
      offset += rest % walk.extent(axis) * walk.stride(0, axis);
      rest /= walk.extent(axis);
    }
    return offset;
  }

  @Test
  void aSingleElementHasNoAxis() {
    assertEquals(0, Walk.over(Shape.of(), new long[0]).axes());
    assertEquals(0, Walk.over(Shape.of(1, 1), new long[] {9, 9}).axes());
  }

  @Test
  void moreAxesThanTheKernelsWalkAreRefused() {
    long[] gaps = {1000000, 100000, 10000, 1000, 100, 10, 1};
    InferenceException refused =
        assertThrows(
            InferenceException.class, () -> Walk.over(Shape.of(2, 2, 2, 2, 2, 2, 2), gaps));
    assertEquals(ErrorCode.UNSUPPORTED_OPERATION, refused.code());
  }
}
