/**
 * What a backend author implements: provider, memory scopes and the four families of operations.
 */
@NullMarked
package org.parallelcomp.api.backend;

import org.jspecify.annotations.NullMarked;
