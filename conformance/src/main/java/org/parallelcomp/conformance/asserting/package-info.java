/**
 * Wrappers that check at every call that a backend, its caller and the policies keep the contract.
 */
@NullMarked
package org.parallelcomp.conformance.asserting;

import org.jspecify.annotations.NullMarked;
