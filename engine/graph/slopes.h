/* Derivatives for compiled graphs whose formulas are longer than a line: those of floats/ieee.py, to the bit. */
#ifndef CHAINRULE_SLOPES_H
#define CHAINRULE_SLOPES_H

#include <math.h>

/* The derivative of x**y by x; nan if the row's rule has to say what it is. */
static inline double power_slope(double x, double y)
{
    double power, less_one, taken, lost;
    if ((y >= 1.0 && y <= 0x1p24) || (y > -0x1p24 && y < 1.0 && y * 0x1p23 == floor(y * 0x1p23)))
        return y * pow(x, y - 1.0); /* y - 1 is exact */
    if (x != 0.0 && fabs(y) <= 0.5) {
        power = pow(x, y);
        return fabs(power) < INFINITY ? y * power / x : NAN;
    }
    if (!(x > 0.0))
        return NAN;
    less_one = y - 1.0;
    taken = less_one - y;
    lost = (y - (less_one - taken)) - (1.0 + taken);
    power = pow(x, less_one);
    if (lost != 0.0)
        power = power + power * (lost * log(x));
    return fabs(power) < INFINITY ? y * power : NAN;
}

#endif
