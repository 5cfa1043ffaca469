/**
 * A backend that says in plain loops what each operation means: the oracle of the conformance kit.
 * It reads views element by element, computes in double precision, and rounds once, to the type of
 * the result. It is slow and means to be.
 */
@NullMarked
package org.parallelcomp.conformance.reference;

import org.jspecify.annotations.NullMarked;
