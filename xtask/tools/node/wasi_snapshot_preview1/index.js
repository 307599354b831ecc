// The only WASI calls that modules may import; see env/index.js.
module.exports = { random_get: () => 0, environ_get: () => 0, environ_sizes_get: () => 0 };
