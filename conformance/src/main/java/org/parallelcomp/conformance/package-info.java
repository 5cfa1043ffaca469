/**
 * The conformance kit for backends: one subclass of {@link
 * org.parallelcomp.conformance.BackendConformance}, one overridden method, every rule.
 */
@NullMarked
package org.parallelcomp.conformance;

import org.jspecify.annotations.NullMarked;
