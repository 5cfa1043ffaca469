package org.parallelcomp.backend.cpu.vector.simd;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * The vector width of every kernel in this package, fixed when this class is initialised.
 *
 * <p>The width is the processor's preferred one, capped by the system property {@value
 * #WIDTH_PROPERTY} (512, 256 or 128), so that tests can run the narrow paths on a wide machine. All
 * species are {@code static final}: C2 only compiles vector operations to instructions when it sees
 * the species as a constant.
 */
final class Species {

  /** System property that caps the vector width, in bits: 512, 256 or 128. */
  static final String WIDTH_PROPERTY = "parallelcomp.cpu.vectorBits";

  /** Width in bits: 512, 256 or 128. */
  static final int BITS = chooseBits();

  /** Float lanes: 16, 8 or 4. */
  static final int LANES = BITS / Float.SIZE;

  static final VectorSpecies<Float> FLOAT =
      VectorSpecies.of(float.class, VectorShape.forBitSize(BITS));

  static final VectorSpecies<Integer> INT =
      VectorSpecies.of(int.class, VectorShape.forBitSize(BITS));

  /** As many shorts as there are float lanes. The narrowest shape is 64 bits, enough for 4. */
  static final VectorSpecies<Short> SHORT =
      VectorSpecies.of(short.class, VectorShape.forBitSize(BITS / 2));

  /**
   * As many bytes as there are float lanes; at 128 bits twice as many, since no 32-bit shape
   * exists.
   */
  static final VectorSpecies<Byte> BYTE =
      VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(64, BITS / 4)));

  /** Bytes in one {@link #BYTE} vector: 16, 8 or 8. */
  static final int BYTES = BYTE.length();

  /** Whether a {@link #BYTE} vector widens to two float vectors (only at 128 bits). */
  static final boolean TWO_PARTS = BYTES > LANES;

  private Species() {}

  private static int chooseBits() {
    int preferred = FloatVector.SPECIES_PREFERRED.vectorBitSize();
    int cap = Integer.getInteger(WIDTH_PROPERTY, 512);
    if (cap != 512 && cap != 256 && cap != 128) {
      throw new IllegalArgumentException(
          WIDTH_PROPERTY + " must be 512, 256 or 128; " + WIDTH_PROPERTY + "=" + cap);
    }
    // A machine with an odd width (SVE) gets the next power of two below it.
    return Math.max(128, Integer.highestOneBit(Math.min(preferred, cap)));
  }
}
