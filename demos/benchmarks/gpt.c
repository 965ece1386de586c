// One training step of the GPT of gpt.py, by hand: each name has a lane of a vector, and all weights are scalars that
// meet the vectors of all names at once. Names of a group end at different places; places where all have ended are
// skipped, and for a name that has ended nothing flows back. REAL, LANES and WIDTH are given to the compiler.

#include <math.h>
#include <string.h>

#define HEADS 4
#define SIZE (WIDTH / HEADS)
#define CONTEXT 16
#define TOKENS 27
#define INNER (4 * WIDTH)

typedef REAL V __attribute__((vector_size(LANES * sizeof(REAL))));

enum {
    TOKEN = 0,
    PLACE = TOKEN + TOKENS * WIDTH,
    QUERY = PLACE + CONTEXT * WIDTH,
    KEY = QUERY + WIDTH * WIDTH,
    VALUE = KEY + WIDTH * WIDTH,
    MIX = VALUE + WIDTH * WIDTH,
    WIDEN = MIX + WIDTH * WIDTH,
    NARROW = WIDEN + INNER * WIDTH,
    READOUT = NARROW + WIDTH * INNER,
    COUNT = READOUT + TOKENS * WIDTH
};

// What is kept of each place.
static V start[CONTEXT][WIDTH], first[CONTEXT][WIDTH], normal[CONTEXT][WIDTH];
static V query[CONTEXT][WIDTH], key[CONTEXT][WIDTH], value[CONTEXT][WIDTH];
static V share[CONTEXT][HEADS][CONTEXT], mixed[CONTEXT][WIDTH], second[CONTEXT][WIDTH], wide_in[CONTEXT][WIDTH];
static V inner[CONTEXT][INNER], last[CONTEXT][WIDTH], score[CONTEXT][TOKENS];
static V scale[3][CONTEXT];
// Slopes by what is kept.
static V d_query[CONTEXT][WIDTH], d_key[CONTEXT][WIDTH], d_value[CONTEXT][WIDTH], d_mixed[CONTEXT][WIDTH];
static V d_out[CONTEXT][WIDTH], d_second[CONTEXT][WIDTH], d_inner[CONTEXT][INNER], d_first[CONTEXT][WIDTH];

static REAL slope[COUNT];

static inline V each_exp(V x) {
    V y;
    for (int l = 0; l < LANES; l++) y[l] = EXP(x[l]);
    return y;
}

static inline V each_log(V x) {
    V y;
    for (int l = 0; l < LANES; l++) y[l] = LOG(x[l]);
    return y;
}

static inline V each_rsqrt(V x) {
    V y;
    for (int l = 0; l < LANES; l++) y[l] = 1 / SQRT(x[l]);
    return y;
}

static inline V greater(V a, V b) {
    V y;
    for (int l = 0; l < LANES; l++) y[l] = a[l] > b[l] ? a[l] : b[l];
    return y;
}

// x where y is above 0, else 0
static inline V where_above(V y, V x) {
    for (int l = 0; l < LANES; l++) x[l] = y[l] > 0 ? x[l] : 0;
    return x;
}

static inline REAL total(V x) {
    REAL sum = 0;
    for (int l = 0; l < LANES; l++) sum += x[l];
    return sum;
}

// y = w x, four rows at a time
static inline void multiply(int rows, int columns, const REAL *w, const V *x, V *y) {
    for (int r = 0; r + 4 <= rows; r += 4) {
        const REAL *p = w + r * columns;
        V a = {0}, b = {0}, c = {0}, d = {0};
        for (int k = 0; k < columns; k++) {
            a += p[k] * x[k];
            b += p[columns + k] * x[k];
            c += p[2 * columns + k] * x[k];
            d += p[3 * columns + k] * x[k];
        }
        y[r] = a, y[r + 1] = b, y[r + 2] = c, y[r + 3] = d;
    }
    for (int r = rows - rows % 4; r < rows; r++) {
        V a = {0};
        for (int k = 0; k < columns; k++) a += w[r * columns + k] * x[k];
        y[r] = a;
    }
}

// dx += dy w, four columns at a time
static inline void multiply_back(int rows, int columns, const REAL *w, const V *dy, V *dx) {
    for (int k = 0; k < columns; k += 4) {
        V a = dx[k], b = dx[k + 1], c = dx[k + 2], d = dx[k + 3];
        for (int r = 0; r < rows; r++) {
            const REAL *p = w + r * columns + k;
            a += p[0] * dy[r], b += p[1] * dy[r], c += p[2] * dy[r], d += p[3] * dy[r];
        }
        dx[k] = a, dx[k + 1] = b, dx[k + 2] = c, dx[k + 3] = d;
    }
}

// g += dy x' over all places, in blocks of 4 x 4 sums that stay in registers
static inline void products(int rows, int columns, int places, const V *dy, const V *x, REAL *g) {
    for (int r = 0; r < rows; r += 4) {
        int height = rows - r < 4 ? rows - r : 4;
        for (int k = 0; k < columns; k += 4) {
            V sums[4][4] = {0};
            if (height == 4) {
                for (int t = 0; t < places; t++)
                    for (int i = 0; i < 4; i++)
                        for (int j = 0; j < 4; j++) sums[i][j] += dy[t * rows + r + i] * x[t * columns + k + j];
            } else {
                for (int t = 0; t < places; t++)
                    for (int i = 0; i < height; i++)
                        for (int j = 0; j < 4; j++) sums[i][j] += dy[t * rows + r + i] * x[t * columns + k + j];
            }
            for (int i = 0; i < height; i++)
                for (int j = 0; j < 4; j++) g[(r + i) * columns + k + j] += total(sums[i][j]);
        }
    }
}

static inline V normalise(const V *x, V *y) {
    V sum = {0};
    for (int k = 0; k < WIDTH; k++) sum += x[k] * x[k];
    V s = each_rsqrt(sum / WIDTH + (REAL)1e-5);
    for (int k = 0; k < WIDTH; k++) y[k] = x[k] * s;
    return s;
}

// dx += what comes back through y = x s, s = (mean x^2 + 1e-5)^-1/2
static inline void normalise_back(const V *x, V s, const V *dy, V *dx) {
    V inside = {0};
    for (int k = 0; k < WIDTH; k++) inside += dy[k] * x[k];
    V back = inside * s * s * s / WIDTH;
    for (int k = 0; k < WIDTH; k++) dx[k] += dy[k] * s - x[k] * back;
}

static void attend(int t) {
    for (int h = 0; h < HEADS; h++) {
        const V *q = query[t] + h * SIZE;
        V *s = share[t][h], top = {0}, sum = {0};
        for (int j = 0; j <= t; j++) {
            V dot = {0};
            for (int k = 0; k < SIZE; k++) dot += q[k] * key[j][h * SIZE + k];
            s[j] = dot / SQRT((REAL)SIZE);
            top = j ? greater(top, s[j]) : s[j];
        }
        for (int j = 0; j <= t; j++) sum += s[j] = each_exp(s[j] - top);
        for (int j = 0; j <= t; j++) s[j] /= sum;
        for (int k = 0; k < SIZE; k++) {
            V dot = {0};
            for (int j = 0; j <= t; j++) dot += s[j] * value[j][h * SIZE + k];
            mixed[t][h * SIZE + k] = dot;
        }
    }
}

static void attend_back(int t) {
    for (int h = 0; h < HEADS; h++) {
        const V *dm = d_mixed[t] + h * SIZE, *s = share[t][h];
        V ds[CONTEXT], inside = {0};
        for (int j = 0; j <= t; j++) {
            V dot = {0};
            for (int k = 0; k < SIZE; k++) {
                dot += dm[k] * value[j][h * SIZE + k];
                d_value[j][h * SIZE + k] += s[j] * dm[k];
            }
            ds[j] = dot;
            inside += s[j] * dot;
        }
        for (int j = 0; j <= t; j++) {
            V d = s[j] * (ds[j] - inside) / SQRT((REAL)SIZE);
            for (int k = 0; k < SIZE; k++) {
                d_query[t][h * SIZE + k] += d * key[j][h * SIZE + k];
                d_key[j][h * SIZE + k] += d * query[t][h * SIZE + k];
            }
        }
    }
}

// The loss of a group of names, each weighted; its slopes are added to `slope`.
static double group(const REAL *p, const int (*tokens)[CONTEXT + 1], const int *lengths, int names, int batch) {
    int places = 0;
    for (int l = 0; l < names; l++) places = lengths[l] > places ? lengths[l] : places;
    double loss = 0;
    for (int t = 0; t < places; t++) {
        for (int k = 0; k < WIDTH; k++)
            for (int l = 0; l < LANES; l++)
                start[t][k][l] = p[TOKEN + (l < names ? tokens[l][t] : 0) * WIDTH + k] + p[PLACE + t * WIDTH + k];
        scale[0][t] = normalise(start[t], first[t]);
        scale[1][t] = normalise(first[t], normal[t]);
        multiply(WIDTH, WIDTH, p + QUERY, normal[t], query[t]);
        multiply(WIDTH, WIDTH, p + KEY, normal[t], key[t]);
        multiply(WIDTH, WIDTH, p + VALUE, normal[t], value[t]);
        attend(t);
        multiply(WIDTH, WIDTH, p + MIX, mixed[t], second[t]);
        for (int k = 0; k < WIDTH; k++) second[t][k] += first[t][k];
        scale[2][t] = normalise(second[t], wide_in[t]);
        multiply(INNER, WIDTH, p + WIDEN, wide_in[t], inner[t]);
        for (int k = 0; k < INNER; k++) inner[t][k] = greater(inner[t][k], (V){0});
        multiply(WIDTH, INNER, p + NARROW, inner[t], last[t]);
        for (int k = 0; k < WIDTH; k++) last[t][k] += second[t][k];
        V *s = score[t], top, sum = {0}, told, weight = {0};
        multiply(TOKENS, WIDTH, p + READOUT, last[t], s);
        for (int l = 0; l < LANES; l++) told[l] = l < names ? s[tokens[l][t + 1]][l] : 0;
        for (int l = 0; l < names; l++) weight[l] = t < lengths[l] ? (REAL)1 / (lengths[l] * batch) : 0;
        top = s[0];
        for (int k = 1; k < TOKENS; k++) top = greater(top, s[k]);
        V told_less_top = told - top;
        for (int k = 0; k < TOKENS; k++) sum += s[k] = each_exp(s[k] - top);
        loss += total(weight * (each_log(sum) - told_less_top));
        for (int k = 0; k < TOKENS; k++) s[k] *= weight / sum;  // the slope by a score, but for the token that came
        for (int l = 0; l < names; l++) s[tokens[l][t + 1]][l] -= weight[l];
    }
    memset(d_query, 0, sizeof d_query), memset(d_key, 0, sizeof d_key), memset(d_value, 0, sizeof d_value);
    memset(d_mixed, 0, sizeof d_mixed), memset(d_out, 0, sizeof d_out), memset(d_inner, 0, sizeof d_inner);
    for (int t = places - 1; t >= 0; t--) {
        V d[WIDTH] = {0};
        multiply_back(TOKENS, WIDTH, p + READOUT, score[t], d_out[t]);
        multiply_back(WIDTH, INNER, p + NARROW, d_out[t], d_inner[t]);
        for (int k = 0; k < INNER; k++) d_inner[t][k] = where_above(inner[t][k], d_inner[t][k]);
        multiply_back(INNER, WIDTH, p + WIDEN, d_inner[t], d);
        memcpy(d_second[t], d_out[t], sizeof d);
        normalise_back(second[t], scale[2][t], d, d_second[t]);
        multiply_back(WIDTH, WIDTH, p + MIX, d_second[t], d_mixed[t]);
        attend_back(t);
    }
    for (int t = 0; t < places; t++) {
        V d[WIDTH] = {0}, dx[WIDTH] = {0};
        multiply_back(WIDTH, WIDTH, p + QUERY, d_query[t], d);
        multiply_back(WIDTH, WIDTH, p + KEY, d_key[t], d);
        multiply_back(WIDTH, WIDTH, p + VALUE, d_value[t], d);
        memcpy(d_first[t], d_second[t], sizeof d);
        normalise_back(first[t], scale[1][t], d, d_first[t]);
        normalise_back(start[t], scale[0][t], d_first[t], dx);
        for (int k = 0; k < WIDTH; k++) {
            slope[PLACE + t * WIDTH + k] += total(dx[k]);
            for (int l = 0; l < names; l++) slope[TOKEN + tokens[l][t] * WIDTH + k] += dx[k][l];
        }
    }
    products(TOKENS, WIDTH, places, score[0], last[0], slope + READOUT);
    products(WIDTH, INNER, places, d_out[0], inner[0], slope + NARROW);
    products(INNER, WIDTH, places, d_inner[0], wide_in[0], slope + WIDEN);
    products(WIDTH, WIDTH, places, d_second[0], mixed[0], slope + MIX);
    products(WIDTH, WIDTH, places, d_query[0], normal[0], slope + QUERY);
    products(WIDTH, WIDTH, places, d_key[0], normal[0], slope + KEY);
    products(WIDTH, WIDTH, places, d_value[0], normal[0], slope + VALUE);
    return loss;
}

double step(REAL *p, REAL *mean, REAL *square, double taken, double rate, const int (*tokens)[CONTEXT + 1],
            const int *lengths, long batch) {
    double loss = 0;
    memset(slope, 0, sizeof slope);
    for (int from = 0; from < batch; from += LANES) {
        int names = batch - from < LANES ? batch - from : LANES;
        loss += group(p, tokens + from, lengths + from, names, batch);
    }
    REAL pace = rate / (1 - pow(0.85, taken)), part = 1 / (1 - pow(0.99, taken));
    for (int k = 0; k < COUNT; k++) {
        mean[k] = (REAL)0.85 * mean[k] + (REAL)0.15 * slope[k];
        square[k] = (REAL)0.99 * square[k] + (REAL)0.01 * slope[k] * slope[k];
        p[k] -= pace * mean[k] / (SQRT(part * square[k]) + (REAL)1e-8);
    }
    return loss;
}
