/**
 * What a policy author implements: strategies, their parameters, and the plans that combine them.
 */
@NullMarked
package org.parallelcomp.api.policy;

import org.jspecify.annotations.NullMarked;
