package org.parallelcomp.api.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Every element of a view is that of the tensor, by the definition of the view. */
class LayoutTest {
  /** A view with gaps on all sides: {@code [2, 3, 4]} out of {@code [3, 5, 7]}. */
  private static final Layout VIEW =
      Layout.contiguous(Shape.of(3, 5, 7)).slice(0, 1, 3).slice(1, 2, 5).slice(2, 1, 5);

  /** Returns the storage elements row by row, as rows give them. */
  private static List<Long> elements(Layout layout) {
    var elements = new ArrayList<Long>();
    for (long row = 0; row < layout.rows(); row++) {
      for (int i = 0; i < layout.shape().dim(-1); i++) {
        elements.add(layout.rowOffset(row) + i * layout.stride(-1));
      }
    }
    return elements;
  }

  @Test
  void rowsGoOverTheIndexInRowMajorOrder() {
    var expected = new ArrayList<Long>();
    for (long i = 0; i < 2; i++) {
      for (long j = 0; j < 3; j++) {
        for (long k = 0; k < 4; k++) {
          expected.add(35 * (i + 1) + 7 * (j + 2) + k + 1);
        }
      }
    }
    assertEquals(expected, elements(VIEW));
    assertEquals(1, Layout.contiguous(Shape.of()).rows());
    assertEquals(0, Layout.contiguous(Shape.of(0, 4)).rows());
    assertEquals(4, Layout.contiguous(Shape.of(4, 0)).rows());
  }

  @Test
  void permutedAxesSeeTheSameElements() {
    Layout permuted = VIEW.permute(2, 0, 1);
    assertEquals(Shape.of(4, 2, 3), permuted.shape());
    for (long i = 0; i < 2; i++) {
      for (long j = 0; j < 3; j++) {
        for (long k = 0; k < 4; k++) {
          assertEquals(VIEW.offset(i, j, k), permuted.offset(k, i, j));
        }
      }
    }
    assertFalse(permuted.isContiguous());
  }

  @Test
  void broadcastAxesRepeatTheirElement() {
    Layout column = VIEW.slice(2, 2, 3).slice(0, 1, 2);
    Layout repeated = column.broadcast(Shape.of(6, 2, 3, 5));
    for (long outer = 0; outer < 6; outer++) {
      for (long i = 0; i < 2; i++) {
        for (long j = 0; j < 3; j++) {
          for (long k = 0; k < 5; k++) {
            assertEquals(VIEW.offset(1, j, 2), repeated.offset(outer, i, j, k));
          }
        }
      }
    }
    assertFalse(repeated.isContiguous());
    assertThrows(IllegalArgumentException.class, () -> VIEW.broadcast(Shape.of(2, 3, 5)));
    assertThrows(IllegalArgumentException.class, () -> VIEW.broadcast(Shape.of(3, 4)));
  }
}
