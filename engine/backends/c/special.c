/* Functions that the C library lacks. Each reduces its argument without error and adds up in pairs of doubles, twice
 * as many digits as a double has, so that nothing is lost where terms cancel: close to zeros of the result.
 * Compilers must keep to IEEE 754: no -ffast-math. Formulas are those of the NIST DLMF, by number. */
/* ==== pairs ==== */
#ifndef CHAINRULE_PAIRS
#define CHAINRULE_PAIRS
typedef struct { double high, low; } chainrule_pair;

static const chainrule_pair chainrule_pi = {0x1.921fb54442d18p+1, 0x1.1a62633145c07p-53};

static chainrule_pair chainrule_joined(double high, double low)
{
    chainrule_pair sum = {high, 0.0};
    if (fabs(high) <= 0x1.fffffffffffffp+1023) {
        sum.high = high + low;
        sum.low = low - (sum.high - high);
    }
    return sum;
}

static chainrule_pair chainrule_add(chainrule_pair x, chainrule_pair y)
{
    const double sum = x.high + y.high, part = sum - x.high;
    const double rest = (x.high - (sum - part)) + (y.high - part);
    const double lows = x.low + y.low, second = lows - x.low;
    const double dust = (x.low - (lows - second)) + (y.low - second);
    const chainrule_pair total = chainrule_joined(sum, rest + lows);
    return chainrule_joined(total.high, total.low + dust);
}

static chainrule_pair chainrule_mul(chainrule_pair x, chainrule_pair y)
{
    const double product = x.high * y.high;
    return chainrule_joined(product, fma(x.high, y.high, -product) + (x.high * y.low + x.low * y.high));
}

static chainrule_pair chainrule_scaled(chainrule_pair x, double factor)
{
    const chainrule_pair exact = {factor, 0.0};
    return chainrule_mul(x, exact);
}

static chainrule_pair chainrule_div(chainrule_pair x, chainrule_pair y)
{
    const double first = x.high / y.high;
    chainrule_pair rest, quotient;
    if (!(fabs(first) <= 0x1.fffffffffffffp+1023) || first == 0.0) {
        const chainrule_pair plain = {first, 0.0};
        return plain;
    }
    rest = chainrule_add(x, chainrule_scaled(y, -first));
    quotient = chainrule_joined(first, rest.high / y.high);
    rest = chainrule_add(rest, chainrule_scaled(y, -(rest.high / y.high)));
    return chainrule_joined(quotient.high, quotient.low + rest.high / y.high);
}

static chainrule_pair chainrule_over(double x, double y)
{
    const chainrule_pair over = {x, 0.0}, under = {y, 0.0};
    return chainrule_div(over, under);
}

/* The sum of r**m / m! with alternating signs, over every second m from `first` on: sine and cosine of r. */
static chainrule_pair chainrule_wave(chainrule_pair r, int first)
{
    const chainrule_pair square = chainrule_scaled(chainrule_mul(r, r), -1.0);
    chainrule_pair term = {1.0, 0.0}, sum;
    int m = first;
    if (first)
        term = r;
    sum = term;
    while (fabs(term.high) > 1e-35 * fabs(sum.high)) {
        term = chainrule_div(chainrule_mul(term, square), chainrule_over((double)(m + 1) * (double)(m + 2), 1.0));
        sum = chainrule_add(sum, term);
        m += 2;
    }
    return sum;
}

/* sin(pi x + pi turns / 2); x is finite. */
static chainrule_pair chainrule_sine_pi(double x, int turns)
{
    /* In exact steps to |r| <= 1/4, with x = r + quarters / 2 but for whole periods. */
    double r = fmod(x, 2.0);
    const double quarters = rint(2.0 * r);
    chainrule_pair value;
    int turn = (int)quarters + turns;
    r -= 0.5 * quarters;
    turn = ((turn % 4) + 4) % 4;
    value = chainrule_wave(chainrule_scaled(chainrule_pi, r), turn % 2 == 0);
    return turn < 2 ? value : chainrule_scaled(value, -1.0);
}
#endif

/* ==== sinc_derivative ==== */
#ifndef CHAINRULE_SINC
#define CHAINRULE_SINC
/* The derivative of sin(pi x)/(pi x) of order n: pi**n f(n), z f(n) + n f(n - 1) = sin(z + n pi / 2), z = pi x. */
static double chainrule_sinc_derivative(double n, double x)
{
    const chainrule_pair zero = {0.0, 0.0};
    const double size = fabs(x);
    const chainrule_pair z = chainrule_scaled(chainrule_pi, size);
    chainrule_pair f = zero, sines[4];
    int order, k, last;
    double left = 1.0;
    if (!(n >= 0.0 && n <= 150.0) || n != floor(n) || x != x)
        return (double)NAN;
    order = (int)n;
    if (size > 0x1.fffffffffffffp+1023)
        return 0.0;
    for (k = 0; k < 4; k++)
        sines[k] = chainrule_sine_pi(size, k);
    if ((double)order + 1.0 < z.high) {
        /* Upwards errors shrink while n < z. */
        const chainrule_pair inverse = chainrule_div(chainrule_over(1.0, size), chainrule_pi);
        f = chainrule_mul(sines[0], inverse);
        for (k = 1; k <= order; k++)
            f = chainrule_mul(chainrule_add(sines[k % 4], chainrule_scaled(f, -(double)k)), inverse);
    } else {
        /* Downwards they shrink while n > z; nothing is left of where it begins. */
        for (last = order + 1; left > 1e-36; last++)
            left *= z.high / (double)(last + 1);
        for (k = last; k > order; k--) {
            const chainrule_pair rest = chainrule_scaled(chainrule_mul(z, f), -1.0);
            f = chainrule_div(chainrule_add(sines[k % 4], rest), chainrule_over((double)k, 1.0));
        }
    }
    for (k = 0; k < order; k++)
        f = chainrule_mul(f, chainrule_pi);
    return x < 0.0 && order % 2 ? -f.high : f.high;
}
#endif

/* ==== polygamma ==== */
#ifndef CHAINRULE_POLYGAMMA
#define CHAINRULE_POLYGAMMA
/* log(z) for z >= 1: one Newton step from the double, with exp by its series. */
static chainrule_pair chainrule_log(chainrule_pair z)
{
    static const chainrule_pair log_of_2 = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56}, one = {1.0, 0.0};
    const chainrule_pair minus_one = {-1.0, 0.0};
    chainrule_pair m = z, term = one, power = one, value, rest;
    double guess;
    int exponent, k;
    m.high = frexp(z.high, &exponent);
    m.low = ldexp(z.low, -exponent);
    guess = log(m.high);
    for (k = 1; fabs(term.high) > 1e-36; k++) {
        term = chainrule_div(chainrule_scaled(term, -guess), chainrule_over((double)k, 1.0));
        power = chainrule_add(power, term);
    }
    rest = chainrule_add(chainrule_mul(m, power), minus_one);
    value = chainrule_joined(guess, rest.high);
    value = chainrule_joined(value.high, value.low + (rest.low - 0.5 * rest.high * rest.high));
    return chainrule_add(chainrule_scaled(log_of_2, (double)exponent), value);
}

/* The derivative of digamma of order n for z > 0, without its sign (-1)**(n + 1) where n > 0 (5.11.2, 5.15.8). */
static chainrule_pair chainrule_polygamma_right(int n, chainrule_pair z)
{
    /* Numerators and denominators of the Bernoulli numbers B(2), B(4), ... */
    static const double over[] = {1.0, -1.0, 1.0, -1.0, 5.0, -691.0, 7.0, -3617.0, 43867.0, -174611.0, 854513.0,
                                  -236364091.0, 8553103.0, -23749461029.0, 8615841276005.0};
    static const double under[] = {6.0, 30.0, 42.0, 30.0, 66.0, 2730.0, 6.0, 510.0, 798.0, 330.0, 138.0,
                                   2730.0, 6.0, 870.0, 14322.0};
    const chainrule_pair one = {1.0, 0.0};
    chainrule_pair sum = {0.0, 0.0}, inverse, term, square;
    int k;
    while (z.high < 30.0 + 2.0 * (double)n) {
        inverse = chainrule_div(one, z);
        term = inverse;
        for (k = 1; k <= n; k++)
            term = chainrule_mul(term, chainrule_scaled(inverse, (double)k));
        sum = chainrule_add(sum, term);
        z = chainrule_add(z, one);
    }
    inverse = chainrule_div(one, z);
    square = chainrule_mul(inverse, inverse);
    if (n == 0) {
        sum = chainrule_add(sum, chainrule_scaled(inverse, 0.5));
        sum = chainrule_add(chainrule_log(z), chainrule_scaled(sum, -1.0));
        term = square;
    } else {
        term = inverse;
        for (k = 1; k < n; k++)
            term = chainrule_mul(term, chainrule_scaled(inverse, (double)k));
        sum = chainrule_add(sum, term);
        term = chainrule_mul(term, chainrule_scaled(inverse, (double)n));
        sum = chainrule_add(sum, chainrule_scaled(term, 0.5));
        term = chainrule_mul(term, chainrule_scaled(inverse, (double)(n + 1)));
    }
    /* term is (2k + n - 1)! / z**(2k + n), then divided by (2k)!. */
    term = chainrule_scaled(term, 0.5);
    for (k = 1; k <= 15; k++) {
        const chainrule_pair part = chainrule_mul(term, chainrule_over(over[k - 1], under[k - 1]));
        sum = chainrule_add(sum, n == 0 ? chainrule_scaled(part, -1.0) : part);
        term = chainrule_mul(chainrule_mul(term, square), chainrule_over((double)(2 * k + n), (double)(2 * k + 1)));
        term = chainrule_mul(term, chainrule_over((double)(2 * k + n + 1), (double)(2 * k + 2)));
    }
    return sum;
}

/* The derivative of cot(pi x) of order n, by powers of the cotangent, whose coefficients have one sign. */
static chainrule_pair chainrule_cotangent(int n, double x)
{
    const chainrule_pair zero = {0.0, 0.0}, one = {1.0, 0.0};
    const chainrule_pair cotangent = chainrule_div(chainrule_sine_pi(x, 1), chainrule_sine_pi(x, 0));
    chainrule_pair polynomial[153], value;
    int k, m;
    for (k = 0; k <= 152; k++)
        polynomial[k] = zero;
    polynomial[1] = one;
    for (m = 1; m <= n; m++) {
        /* cot' = -(1 + cot**2): the coefficients move one place down and one up. */
        chainrule_pair before = zero;
        for (k = 0; k <= m + 1; k++) {
            const chainrule_pair down = k <= m ? chainrule_scaled(polynomial[k + 1], -(double)(k + 1)) : zero;
            const chainrule_pair up = k > 0 ? chainrule_scaled(before, -(double)(k - 1)) : zero;
            before = polynomial[k];
            polynomial[k] = chainrule_add(down, up);
        }
    }
    value = polynomial[n + 1];
    for (k = n; k >= 0; k--)
        value = chainrule_add(chainrule_mul(value, cotangent), polynomial[k]);
    for (k = 0; k <= n; k++)
        value = chainrule_mul(value, chainrule_pi);
    return value;
}

/* The derivative of digamma of order n; left of 0 by reflection (5.5.4, 5.15.6). */
static double chainrule_polygamma(double n, double x)
{
    const double infinity = (double)INFINITY;
    const chainrule_pair one = {1.0, 0.0};
    chainrule_pair z = {x, 0.0}, value;
    int order;
    if (!(n >= 0.0 && n <= 150.0) || n != floor(n) || x != x)
        return (double)NAN;
    order = (int)n;
    if (x == infinity)
        return order ? 0.0 : infinity;
    if (x == 0.0 && order == 0)
        return -copysign(infinity, x);
    if (x <= 0.0 && x == floor(x))
        return order % 2 && x != -infinity ? infinity : (double)NAN;
    if (x < 0.0) {
        const chainrule_pair minus = {-x, 0.0};
        z = chainrule_add(one, minus);
    }
    value = chainrule_polygamma_right(order, z);
    if (order && order % 2 == 0)
        value = chainrule_scaled(value, -1.0);
    if (x < 0.0) {
        if (order % 2)
            value = chainrule_scaled(value, -1.0);
        value = chainrule_add(value, chainrule_scaled(chainrule_cotangent(order, x), -1.0));
    }
    return value.high;
}
#endif
/* ==== row ==== */
#ifndef CHAINRULE_ROW
#define CHAINRULE_ROW
/* The row that an index asks for, below 0 from the end; count where there is none. */
static inline size_t chainrule_row(double index, size_t count)
{
    const double whole = trunc(index);
    if (!(fabs(index) <= (double)count && index == whole))
        return count;
    return (size_t)(whole < 0.0 ? whole + (double)count : whole);
}
#endif
